"""MobileNetV2 (Sandler et al. 2018), table 2, width 1.

inverted residual   x -- 1x1 expand -- relu6 -- 3x3 depthwise -- relu6 -- 1x1 project -- (+)
                    x -------------------------- where the shapes agree ---------------- ^
"""

from torch import Tensor, nn

# (expansion, channels, depth, stride of the first block), as in the paper's table 2.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM_WIDTH = 32
LAST_WIDTH = 1280


def mobilenet_v2() -> nn.Module:
    """(N, 3, 224, 224) -> (N, 1000), 0.3 G MAC an image, 3.5 million weights."""
    return MobileNetV2()


class MobileNetV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        features: list[nn.Module] = [convolution(3, STEM_WIDTH, kernel=3, stride=2)]
        entering = STEM_WIDTH
        for expansion, width, depth, stride in STAGES:
            for position in range(depth):
                step = stride if position == 0 else 1
                features.append(InvertedResidual(entering, width, step, expansion))
                entering = width
        features.append(convolution(entering, LAST_WIDTH, kernel=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(LAST_WIDTH, 1000))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (N, 1280, 7, 7)
        x = x.mean((2, 3))  # (N, 1280)
        logits: Tensor = self.classifier(x)
        return logits


class InvertedResidual(nn.Module):
    def __init__(self, entering: int, leaving: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.is_residual = stride == 1 and entering == leaving
        hidden = expansion * entering
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(convolution(entering, hidden, kernel=1))
        layers.append(convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden))
        layers.append(nn.Conv2d(hidden, leaving, 1, bias=False))
        layers.append(nn.BatchNorm2d(leaving))
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.is_residual else y


def convolution(
    entering: int, leaving: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution that keeps the map's size apart from the stride, batch norm, ReLU6."""
    return nn.Sequential(
        nn.Conv2d(
            entering,
            leaving,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(leaving),
        nn.ReLU6(inplace=True),
    )
