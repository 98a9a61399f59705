"""DenseNet, GoogLeNet, Inception-v3 and Xception: much concatenation."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.network import Network, Task
from zoo.networks.blocks import Pooled, conv_bn

CLASSES = 100


class DenseLayer(nn.Module):
    """x and 32 channels more: norm, ReLU, 1x1, norm, ReLU, 3x3."""

    def __init__(self, entering: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(entering)
        self.conv1 = nn.Conv2d(entering, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.relu(self.norm1(x)))
        y = self.conv2(functional.relu(self.norm2(y)))
        return torch.cat([x, y], 1)


def densenet121() -> nn.Module:
    """Huang et al. 2017, with growth 16: half the width."""
    growth = 16
    layers: list[nn.Module] = [conv_bn(3, 2 * growth, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels = 2 * growth
    for stage, depth in enumerate((6, 12, 24, 16)):
        if stage:
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
        for _ in range(depth):
            layers.append(DenseLayer(channels, growth))
            channels += growth
    layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
    return Pooled(nn.Sequential(*layers), channels)


class Branches(nn.Module):
    """Every branch sees x; their results are concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception(entering: int, a: int, b: tuple[int, int], c: tuple[int, int], d: int) -> nn.Module:
    return Branches(
        conv_bn(entering, a, 1),
        nn.Sequential(conv_bn(entering, b[0], 1), conv_bn(*b)),
        nn.Sequential(conv_bn(entering, c[0], 1), conv_bn(*c, 5)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(entering, d, 1)),
    )


class Auxiliary(nn.Module):
    """A second classifier, which only training looks at."""

    def __init__(self, entering: int) -> None:
        super().__init__()
        self.conv = conv_bn(entering, 128, 1)
        self.fc = nn.Linear(128 * 16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.adaptive_avg_pool2d(x, 4)
        logits: Tensor = self.fc(functional.dropout(self.conv(x).flatten(1), 0.7, self.training))
        return logits


class WithAuxiliary(nn.Module):
    """Logits; in training the auxiliary logits beside them."""

    def __init__(self, first: nn.Module, second: nn.Module, between: int, channels: int) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.auxiliary = Auxiliary(between)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.first(x)
        auxiliary = self.auxiliary(x) if self.training else None
        x = functional.adaptive_avg_pool2d(self.second(x), (1, 1))
        logits: Tensor = self.fc(self.dropout(torch.flatten(x, 1)))
        return logits if auxiliary is None else (logits, auxiliary)


def googlenet() -> nn.Module:
    """Szegedy et al. 2015, with batch norm and one auxiliary head."""
    first = nn.Sequential(
        conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True),
        conv_bn(64, 64, 1), conv_bn(64, 192, 3), nn.MaxPool2d(3, 2, ceil_mode=True),
        inception(192, 64, (96, 128), (16, 32), 32), inception(256, 128, (128, 192), (32, 96), 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        inception(480, 192, (96, 208), (16, 48), 64), inception(512, 160, (112, 224), (24, 64), 64),
        inception(512, 128, (128, 256), (24, 64), 64),
    )  # fmt: skip
    second = nn.Sequential(
        inception(512, 112, (144, 288), (32, 64), 64),
        inception(528, 256, (160, 320), (32, 128), 128),
        nn.MaxPool2d(2, 2, ceil_mode=True),
        inception(832, 256, (160, 320), (32, 128), 128),
        inception(832, 384, (192, 384), (48, 128), 128),
    )
    return WithAuxiliary(first, second, 512, 1024)


def valid(entering: int, leaving: int, stride: int = 1) -> nn.Module:
    """A 3x3 convolution that does not pad."""
    return nn.Sequential(
        nn.Conv2d(entering, leaving, 3, stride, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()
    )


def inception_a(entering: int, pooled: int) -> nn.Module:
    return Branches(
        conv_bn(entering, 64, 1),
        nn.Sequential(conv_bn(entering, 48, 1), conv_bn(48, 64, 5)),
        nn.Sequential(conv_bn(entering, 64, 1), conv_bn(64, 96), conv_bn(96, 96)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_bn(entering, pooled, 1)),
    )


def inception_b(entering: int) -> nn.Module:
    return Branches(
        valid(entering, 384, 2),
        nn.Sequential(conv_bn(entering, 64, 1), conv_bn(64, 96), valid(96, 96, 2)),
        nn.MaxPool2d(3, 2),
    )


def inception_c(entering: int, hidden: int) -> nn.Module:
    row, column = (1, 7), (7, 1)
    return Branches(
        conv_bn(entering, 192, 1),
        nn.Sequential(
            conv_bn(entering, hidden, 1), conv_bn(hidden, hidden, row), conv_bn(hidden, 192, column)
        ),
        nn.Sequential(
            conv_bn(entering, hidden, 1), conv_bn(hidden, hidden, column),
            conv_bn(hidden, hidden, row), conv_bn(hidden, hidden, column),
            conv_bn(hidden, 192, row),
        ),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_bn(entering, 192, 1)),
    )  # fmt: skip


def inception_d(entering: int) -> nn.Module:
    return Branches(
        nn.Sequential(conv_bn(entering, 192, 1), valid(192, 320, 2)),
        nn.Sequential(
            conv_bn(entering, 192, 1), conv_bn(192, 192, (1, 7)), conv_bn(192, 192, (7, 1)),
            valid(192, 192, 2),
        ),
        nn.MaxPool2d(3, 2),
    )  # fmt: skip


def inception_e(entering: int) -> nn.Module:
    def split(width: int) -> nn.Module:
        return Branches(conv_bn(width, 384, (1, 3)), conv_bn(width, 384, (3, 1)))

    return Branches(
        conv_bn(entering, 320, 1),
        nn.Sequential(conv_bn(entering, 384, 1), split(384)),
        nn.Sequential(conv_bn(entering, 448, 1), conv_bn(448, 384), split(384)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_bn(entering, 192, 1)),
    )


def inception_v3() -> nn.Module:
    """Szegedy et al. 2016; images of 139 pixels, the smallest for which every map is odd."""
    first = nn.Sequential(
        valid(3, 32, 2), valid(32, 32), conv_bn(32, 64), nn.MaxPool2d(3, 2),
        conv_bn(64, 80, 1), valid(80, 192), nn.MaxPool2d(3, 2),
        inception_a(192, 32), inception_a(256, 64), inception_a(288, 64), inception_b(288),
        inception_c(768, 128), inception_c(768, 160), inception_c(768, 192),
    )  # fmt: skip
    second = nn.Sequential(inception_d(768), inception_e(1280), inception_e(2048))
    return WithAuxiliary(first, second, 768, 2048)


class XceptionBlock(nn.Module):
    """ReLU before each separable convolution; a strided shortcut where the width changes."""

    def __init__(self, entering: int, leaving: int, stride: int, *, depth: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = entering
        for _ in range(depth):
            layers += [
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
                nn.Conv2d(width, leaving, 1, bias=False),
                nn.BatchNorm2d(leaving),
            ]
            width = leaving
        if stride != 1:
            layers.append(nn.MaxPool2d(3, stride, 1))
        self.body = nn.Sequential(*layers)
        same = entering == leaving and stride == 1
        self.skip = nn.Identity() if same else conv_bn(entering, leaving, 1, stride, act=None)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x) + self.skip(x)
        return y


def xception() -> nn.Module:
    """Chollet 2017, half as wide, four middle blocks."""
    features = nn.Sequential(
        conv_bn(3, 32, 3, 2), conv_bn(32, 64),
        XceptionBlock(64, 128, 2), XceptionBlock(128, 256, 2), XceptionBlock(256, 364, 2),
        *(XceptionBlock(364, 364, 1, depth=3) for _ in range(4)),
        XceptionBlock(364, 512, 2), nn.ReLU(),
    )  # fmt: skip
    return Pooled(features, 512)


NETWORKS = (
    Network("densenet121", "DenseNet", "zoo", Task.CLASSIFICATION, (3, 128, 128), densenet121),
    Network("googlenet", "GoogLeNet", "zoo", Task.CLASSIFICATION, (3, 128, 128), googlenet),
    Network("inception_v3", "Inception", "zoo", Task.CLASSIFICATION, (3, 139, 139), inception_v3),
    Network("xception", "Xception", "zoo", Task.CLASSIFICATION, (3, 128, 128), xception),
)
