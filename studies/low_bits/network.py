"""ResNet-20 for 32x32 images (He et al. 2016, section 4.2), 0.27 M weights, 41 M MAC an image.

conv 3x3, 16 -- layer1: 3 blocks, 16 -- layer2: 3 blocks, 32, /2 -- layer3: 3 blocks, 64, /2
-- mean -- fc

block   x -- conv 3x3 -- bn -- relu -- conv 3x3 -- bn -- (+) -- relu
        x -- nothing, or conv 1x1 / 2 and bn ------------ ^

Where the width changes the shortcut is a convolution (option B of the paper, as torchvision's);
the CIFAR networks of the paper pad with zeros instead (option A), 2,752 weights less.
"""

from torch import Tensor, nn


class ResNet20(nn.Module):
    """(N, 3, 32, 32) -> (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = stage(16, 16, 1)
        self.layer2 = stage(16, 32, 2)
        self.layer3 = stage(32, 64, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 16, 32, 32)
        x = self.layer3(self.layer2(self.layer1(x)))  # (N, 64, 8, 8)
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


def stage(entering: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(entering, width, stride), Block(width, width), Block(width, width))


class Block(nn.Module):
    def __init__(self, entering: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = (
            nn.Sequential()
            if entering == width
            else nn.Sequential(
                nn.Conv2d(entering, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        result: Tensor = self.relu(y + self.downsample(x))
        return result
