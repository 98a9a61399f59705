"""Inverted residuals with hard-swish, as in MobileNetV3 (Howard et al. 2019), and no attention.

hard-swish   x relu6(x + 3) / 6
"""

from torch import Tensor, nn

# (hidden channels, channels, kernel, stride, hard-swish or ReLU), after the paper's table 2.
BLOCKS = (
    (16, 16, 3, 2, False),
    (72, 24, 3, 2, False),
    (88, 24, 3, 1, False),
    (96, 40, 5, 2, True),
    (240, 40, 5, 1, True),
    (144, 48, 5, 1, True),
    (288, 96, 5, 2, True),
)
STEM_WIDTH = 16
LAST_WIDTH = 576


def mobilenet_v3() -> nn.Module:
    """(N, 3, 96, 96) -> (N, 100), 8 million multiply-accumulates an image."""
    return MobileNetV3()


class MobileNetV3(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [convolution(3, STEM_WIDTH, 3, 2, swish=True)]
        entering = STEM_WIDTH
        for hidden, leaving, kernel, stride, swish in BLOCKS:
            blocks.append(InvertedResidual(entering, hidden, leaving, kernel, stride, swish=swish))
            entering = leaving
        blocks.append(convolution(entering, LAST_WIDTH, 1, swish=True))
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(
            nn.Linear(LAST_WIDTH, 256), nn.Hardswish(), nn.Linear(256, 100)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (N, 576, 3, 3)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


class InvertedResidual(nn.Module):
    def __init__(
        self, entering: int, hidden: int, leaving: int, kernel: int, stride: int, *, swish: bool
    ) -> None:
        super().__init__()
        self.is_residual = stride == 1 and entering == leaving
        self.conv = nn.Sequential(
            convolution(entering, hidden, 1, swish=swish),
            convolution(hidden, hidden, kernel, stride, groups=hidden, swish=swish),
            nn.Conv2d(hidden, leaving, 1, bias=False),
            nn.BatchNorm2d(leaving),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.is_residual else y


def convolution(
    entering: int, leaving: int, kernel: int, stride: int = 1, *, groups: int = 1, swish: bool
) -> nn.Sequential:
    """Convolution, batch norm, and hard-swish or ReLU."""
    conv = nn.Conv2d(entering, leaving, kernel, stride, kernel // 2, groups=groups, bias=False)
    activation: nn.Module = nn.Hardswish() if swish else nn.ReLU()
    return nn.Sequential(conv, nn.BatchNorm2d(leaving), activation)
