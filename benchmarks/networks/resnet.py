"""ResNet-18 and ResNet-50 (He et al. 2016), with the stride in the 3x3 convolution ("v1.5").

    x -- conv1 7x7/2 -- max pool 3x3/2 -- layer1 -- layer2 -- layer3 -- layer4 -- mean -- fc

    basic block       x -- conv1 3x3 -- relu1 -- conv2 3x3 -- (+) -- relu2
                      x -- downsample or nothing ------------- ^
    bottleneck block  x -- conv1 1x1 -- relu1 -- conv2 3x3 -- relu2 -- conv3 1x1 -- (+) -- relu3
                      x -- downsample or nothing ----------------------------------- ^

Each ReLU is a module of its own: torchao's PT2E refuses blocks in which one serves twice.
"""

from torch import Tensor, nn

BOTTLENECK_EXPANSION = 4


def resnet18() -> nn.Module:
    """(N, 3, 224, 224) -> (N, 1000), 1.8 G MAC an image, 11.7 million weights."""
    return ResNet(bottleneck=False, depths=(2, 2, 2, 2))


def resnet50() -> nn.Module:
    """(N, 3, 224, 224) -> (N, 1000), 4.1 G MAC an image, 25.6 million weights."""
    return ResNet(bottleneck=True, depths=(3, 4, 6, 3))


class ResNet(nn.Module):
    def __init__(self, *, bottleneck: bool, depths: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        e = BOTTLENECK_EXPANSION if bottleneck else 1
        self.layer1 = stage(64, 64, depths[0], 1, bottleneck=bottleneck)
        self.layer2 = stage(64 * e, 128, depths[1], 2, bottleneck=bottleneck)
        self.layer3 = stage(128 * e, 256, depths[2], 2, bottleneck=bottleneck)
        self.layer4 = stage(256 * e, 512, depths[3], 2, bottleneck=bottleneck)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * e, 1000)
        initialize_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, 64, 56, 56)
        x = self.layer2(self.layer1(x))  # (N, 128 e, 28, 28), e = 1 or 4
        x = self.layer4(self.layer3(x))  # (N, 512 e, 7, 7)
        x = self.avgpool(x).flatten(1)  # (N, 512 e)
        logits: Tensor = self.fc(x)
        return logits


def stage(entering: int, width: int, depth: int, stride: int, *, bottleneck: bool) -> nn.Sequential:
    """`depth` blocks of one width; the first one takes the stride."""
    block = BottleneckBlock if bottleneck else BasicBlock
    leaving = BOTTLENECK_EXPANSION * width if bottleneck else width
    first = block(entering, width, stride)
    return nn.Sequential(first, *(block(leaving, width, 1) for _ in range(depth - 1)))


class BasicBlock(nn.Module):
    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.downsample = shortcut(entering, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y = y + (x if self.downsample is None else self.downsample(x))
        rectified: Tensor = self.relu2(y)
        return rectified


class BottleneckBlock(nn.Module):
    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__()
        leaving = BOTTLENECK_EXPANSION * width
        self.conv1 = nn.Conv2d(entering, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(width, leaving, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(leaving)
        self.relu3 = nn.ReLU(inplace=True)
        self.downsample = shortcut(entering, leaving, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y = y + (x if self.downsample is None else self.downsample(x))
        rectified: Tensor = self.relu3(y)
        return rectified


def shortcut(entering: int, leaving: int, stride: int) -> nn.Sequential | None:
    """What brings a block's input to its output's shape; None where it has that shape."""
    if entering == leaving and stride == 1:
        return None
    convolution = nn.Conv2d(entering, leaving, 1, stride=stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(leaving))


def initialize_convolutions(model: nn.Module) -> None:
    """He initialization, in place: activations keep their variance from layer to layer."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
