"""ResNets (He et al. 2016) and what became of them: wider, grouped, pre-activated, with gates."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.networks import resnet as benchmarked
from zoo.network import Network, Task
from zoo.networks.attention import (
    CBAM,
    CoordinateAttention,
    EfficientChannelAttention,
    SelectiveKernel,
    squeeze_excite,
)
from zoo.networks.blocks import Pooled, conv_bn

Block = Callable[[int, int, int], nn.Module]
"""(channels entering, channels leaving, stride) -> a residual block."""

WIDTHS = (64, 128, 256, 512)


def resnet(
    block: Block, depths: Sequence[int], widths: Sequence[int] = WIDTHS, *, small: bool = False
) -> nn.Module:
    """Stages of blocks behind a 7x7 stem, or behind a 3x3 one where images are small."""
    layers, channels = stages(block, depths, widths, small=small)
    return Pooled(nn.Sequential(*layers), channels)


def stages(
    block: Block, depths: Sequence[int], widths: Sequence[int], *, small: bool
) -> tuple[list[nn.Module], int]:
    """The layers and how many channels leave them."""
    stem = [conv_bn(3, 64)] if small else [conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    layers: list[nn.Module] = list(stem)
    entering = 64
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        for position in range(depth):
            layers.append(block(entering, width, 2 if stage and position == 0 else 1))
            entering = width
    return layers, entering


def shortcut(entering: int, leaving: int, stride: int) -> nn.Module:
    if entering == leaving and stride == 1:
        return nn.Identity()
    return conv_bn(entering, leaving, 1, stride, act=None)


class Basic(nn.Module):
    """relu(shortcut(x) + gate(conv(relu(conv(x)))))."""

    def __init__(
        self,
        entering: int,
        leaving: int,
        stride: int,
        attention: Callable[[int], nn.Module] = lambda channels: nn.Identity(),
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(entering, leaving, 3, stride), conv_bn(leaving, leaving, 3, act=None)
        )
        self.attention = attention(leaving)
        self.shortcut = shortcut(entering, leaving, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.attention(self.body(x)) + self.shortcut(x))
        return y


class Bottleneck(nn.Module):
    """1x1, 3x3 in groups, 1x1; one ReLU module serves all three places, as in torchvision."""

    def __init__(
        self, entering: int, leaving: int, stride: int, *, groups: int, width: int
    ) -> None:
        super().__init__()
        hidden = leaving * width // 256
        self.conv1 = nn.Conv2d(entering, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = nn.Conv2d(hidden, leaving, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(leaving)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = shortcut(entering, leaving, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += self.shortcut(x)
        z: Tensor = self.relu(y)
        return z


class PreActivation(nn.Module):
    """He et al. 2016b: norm and ReLU before each convolution; the sum is not rectified."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(entering)
        self.conv1 = nn.Conv2d(entering, leaving, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(leaving)
        self.conv2 = nn.Conv2d(leaving, leaving, 3, 1, 1, bias=False)
        self.shortcut: nn.Module | None = None
        if entering != leaving or stride != 1:
            self.shortcut = nn.Conv2d(entering, leaving, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(x))
        kept = x if self.shortcut is None else self.shortcut(y)
        z: Tensor = self.conv2(functional.relu(self.bn2(self.conv1(y)))) + kept
        return z


class Selective(nn.Module):
    """A bottleneck around a selective kernel."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        hidden = leaving // 2
        self.body = nn.Sequential(
            conv_bn(entering, hidden, 1),
            SelectiveKernel(hidden, hidden, stride),
            conv_bn(hidden, leaving, 1, act=None),
        )
        self.shortcut = shortcut(entering, leaving, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class Res2(nn.Module):
    """Res2Net (Gao et al. 2019): four slices of the channels, each sees the one before."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.reduce = conv_bn(entering, leaving // 2, 1, stride)
        slice_width = leaving // 8
        self.convs = nn.ModuleList(conv_bn(slice_width, slice_width) for _ in range(3))
        self.expand = conv_bn(leaving // 2, leaving, 1, act=None)
        self.shortcut = shortcut(entering, leaving, stride)

    def forward(self, x: Tensor) -> Tensor:
        slices = torch.chunk(self.reduce(x), 4, 1)
        results = [slices[0]]
        y = slices[1]
        for number, conv in enumerate(self.convs):
            y = conv(y if number == 0 else y + slices[number + 1])
            results.append(y)
        return torch.relu(self.expand(torch.cat(results, 1)) + self.shortcut(x))


class StandardizedConv(nn.Conv2d):
    """Weights of mean 0 and variance 1 by output channel, at every call (Qiao et al. 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        mean = weight.mean((1, 2, 3), keepdim=True)
        variance = weight.var((1, 2, 3), keepdim=True, unbiased=False)
        fan_in = weight[0].numel()
        weight = (weight - mean) * torch.rsqrt(variance * fan_in + 1e-6)
        return functional.conv2d(
            x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class Standardized(nn.Module):
    """A basic block of standardized convolutions with batch or group norm."""

    def __init__(
        self, entering: int, leaving: int, stride: int, norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            StandardizedConv(entering, leaving, 3, stride, 1, bias=False),
            norm(leaving),
            nn.ReLU(),
            StandardizedConv(leaving, leaving, 3, 1, 1, bias=False),
            norm(leaving),
        )
        self.shortcut: nn.Module = nn.Identity()
        if entering != leaving:
            conv = StandardizedConv(entering, leaving, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, norm(leaving))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet34() -> nn.Module:
    return resnet(Basic, (3, 4, 6, 3))


def resnext50() -> nn.Module:
    block = partial(Bottleneck, groups=32, width=128)
    return resnet(block, (3, 4, 6, 3), (256, 512, 1024, 2048))


def pre_activated(
    depths: Sequence[int], widths: Sequence[int] = WIDTHS, *, small: bool = False
) -> nn.Module:
    """The last sum is normalized and rectified, too."""
    layers, channels = stages(PreActivation, depths, widths, small=small)
    return Pooled(nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU()), channels)


def wide_resnet() -> nn.Module:
    """WRN-16-4 for 32x32 images (Zagoruyko & Komodakis 2016)."""
    return pre_activated((2, 2, 2), (64, 128, 256), small=True)


def preact_resnet18() -> nn.Module:
    return pre_activated((2, 2, 2, 2))


def with_attention(attention: Callable[[int], nn.Module]) -> nn.Module:
    """ResNet-18 with a gate in each block."""
    return resnet(partial(Basic, attention=attention), (2, 2, 2, 2))


def sk_resnet26() -> nn.Module:
    return resnet(Selective, (2, 2, 2, 2), (128, 256, 512, 1024))


def res2net26() -> nn.Module:
    return resnet(Res2, (2, 2, 2, 2), (128, 256, 512, 1024))


def standardized_bn() -> nn.Module:
    return resnet(partial(Standardized, norm=nn.BatchNorm2d), (2, 2, 2, 2))


def standardized_gn() -> nn.Module:
    return resnet(partial(Standardized, norm=partial(nn.GroupNorm, 32)), (2, 2, 2, 2))


NETWORKS = tuple(
    Network(name, family, source, Task.CLASSIFICATION, shape, make)
    for name, family, source, shape, make in (
        ("resnet18", "ResNet", "benchmarks", (3, 160, 160), benchmarked.resnet18),
        ("resnet34", "ResNet", "zoo", (3, 128, 128), resnet34),
        ("resnet50", "ResNet", "benchmarks", (3, 128, 128), benchmarked.resnet50),
        ("resnext50", "ResNeXt", "zoo", (3, 128, 128), resnext50),
        ("wide_resnet", "Wide ResNet", "zoo", (3, 32, 32), wide_resnet),
        ("preact_resnet18", "pre-activation ResNet", "zoo", (3, 128, 128), preact_resnet18),
        ("se_resnet18", "SE-ResNet", "zoo", (3, 128, 128), partial(with_attention, squeeze_excite)),
        ("eca_resnet18", "ECA-ResNet", "zoo", (3, 128, 128),
         partial(with_attention, EfficientChannelAttention)),
        ("cbam_resnet18", "CBAM", "zoo", (3, 128, 128), partial(with_attention, CBAM)),
        ("coordinate_resnet18", "coordinate attention", "zoo", (3, 128, 128),
         partial(with_attention, CoordinateAttention)),
        ("sk_resnet26", "SKNet", "zoo", (3, 128, 128), sk_resnet26),
        ("res2net26", "Res2Net", "zoo", (3, 128, 128), res2net26),
        ("ws_resnet18_bn", "weight standardization", "zoo", (3, 128, 128), standardized_bn),
        ("ws_resnet18_gn", "weight standardization", "zoo", (3, 128, 128), standardized_gn),
    )
)  # fmt: skip
