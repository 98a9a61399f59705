"""Networks for telephones: MobileNets, MnasNet, ShuffleNets, GhostNet, EfficientNets."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.networks.mobilenet_v2 import mobilenet_v2
from zoo.network import Network, Task
from zoo.networks.blocks import Activation, Pooled, SqueezeExcite, conv_bn, separable

CLASSES = 100


class InvertedResidual(nn.Module):
    """1x1 expand, depthwise, an optional gate, 1x1 project, and x where the shapes agree."""

    def __init__(
        self,
        entering: int,
        hidden: int,
        leaving: int,
        *,
        kernel: int,
        stride: int,
        act: Activation,
        excite: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.is_residual = stride == 1 and entering == leaving
        layers: list[nn.Module] = (
            [] if hidden == entering else [conv_bn(entering, hidden, 1, act=act)]
        )
        layers.append(conv_bn(hidden, hidden, kernel, stride, groups=hidden, act=act))
        if excite is not None:
            layers.append(excite)
        layers.append(conv_bn(hidden, leaving, 1, act=None))
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.is_residual else y


def mobilenet_v1() -> nn.Module:
    """Howard et al. 2017."""
    first = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
    plan = (*first, *(((512, 1),) * 5), (1024, 2), (1024, 1))
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2)]
    entering = 32
    for leaving, stride in plan:
        layers.append(separable(entering, leaving, stride))
        entering = leaving
    return Pooled(nn.Sequential(*layers), entering)


V3_SMALL = (
    (3, 16, 16, True, "relu", 2), (3, 72, 24, False, "relu", 2), (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "swish", 2), (5, 240, 40, True, "swish", 1), (5, 240, 40, True, "swish", 1),
    (5, 120, 48, True, "swish", 1), (5, 144, 48, True, "swish", 1), (5, 288, 96, True, "swish", 2),
    (5, 576, 96, True, "swish", 1), (5, 576, 96, True, "swish", 1),
)  # fmt: skip
V3_LARGE = (
    (3, 16, 16, False, "relu", 1), (3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "swish", 2), (3, 200, 80, False, "swish", 1),
    (3, 184, 80, False, "swish", 1), (3, 184, 80, False, "swish", 1),
    (3, 480, 112, True, "swish", 1), (3, 672, 112, True, "swish", 1),
    (5, 672, 160, True, "swish", 2), (5, 960, 160, True, "swish", 1),
    (5, 960, 160, True, "swish", 1),
)  # fmt: skip


def mobilenet_v3(plan: Sequence[tuple[int, int, int, bool, str, int]], last: int) -> nn.Module:
    """Howard et al. 2019, tables 1 and 2: kernel, hidden, leaving, gate, activation, stride."""
    layers: list[nn.Module] = [conv_bn(3, 16, 3, 2, act=nn.Hardswish)]
    entering = 16
    for kernel, hidden, leaving, gated, activation, stride in plan:
        gate = SqueezeExcite(hidden, max(8, hidden // 4), gate=nn.Hardsigmoid) if gated else None
        act: Activation = nn.ReLU if activation == "relu" else nn.Hardswish
        layers.append(
            InvertedResidual(
                entering, hidden, leaving, kernel=kernel, stride=stride, act=act, excite=gate
            )
        )
        entering = leaving
    head = 6 * entering
    layers += [
        conv_bn(entering, head, 1, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(head, last), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(last, CLASSES),
    ]  # fmt: skip
    return nn.Sequential(*layers)


MNASNET = (
    (3, 3, 24, 3, 2), (3, 3, 40, 5, 2), (3, 6, 80, 5, 2), (2, 6, 96, 3, 1), (4, 6, 192, 5, 2),
    (1, 6, 320, 3, 1),
)  # fmt: skip
EFFICIENTNET = (
    (1, 1, 16, 3, 1), (2, 6, 24, 3, 2), (2, 6, 40, 5, 2), (3, 6, 80, 3, 2), (3, 6, 112, 5, 1),
    (4, 6, 192, 5, 2), (1, 6, 320, 3, 1),
)  # fmt: skip
"""(depth, expansion, channels, kernel, stride of the first)."""


def inverted(
    plan: Sequence[tuple[int, int, int, int, int]],
    stem: list[nn.Module],
    entering: int,
    *,
    act: Activation,
    gated: bool = False,
) -> nn.Module:
    """Stages of inverted residuals between a stem and a 1x1 head."""
    layers = list(stem)
    for depth, expansion, leaving, kernel, stride in plan:
        for position in range(depth):
            hidden = expansion * entering
            gate = SqueezeExcite(hidden, max(4, entering // 4), act=act) if gated else None
            step = stride if position == 0 else 1
            layers.append(
                InvertedResidual(
                    entering, hidden, leaving, kernel=kernel, stride=step, act=act, excite=gate
                )
            )
            entering = leaving
    layers.append(conv_bn(entering, 1280, 1, act=act))
    return Pooled(nn.Sequential(*layers), 1280)


def mnasnet() -> nn.Module:
    """Tan et al. 2019, A without gates ("B1")."""
    stem: list[nn.Module] = [conv_bn(3, 32, 3, 2), separable(32, 16)]
    return inverted(MNASNET, stem, 16, act=nn.ReLU)


def efficientnet_b0() -> nn.Module:
    """Tan & Le 2019."""
    stem: list[nn.Module] = [conv_bn(3, 32, 3, 2, act=nn.SiLU)]
    return inverted(EFFICIENTNET, stem, 32, act=nn.SiLU, gated=True)


def efficientnet_lite0() -> nn.Module:
    """Liu 2020: ReLU6 and no gates."""
    return inverted(EFFICIENTNET, [conv_bn(3, 32, 3, 2, act=nn.ReLU6)], 32, act=nn.ReLU6)


def shuffled(x: Tensor, groups: int) -> Tensor:
    """The channels of the groups in turns: view, transpose, reshape, as everybody writes it."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class ShuffleV1(nn.Module):
    """Zhang et al. 2018: grouped 1x1 convolutions with a shuffle between them."""

    def __init__(self, entering: int, leaving: int, stride: int, groups: int) -> None:
        super().__init__()
        self.groups, self.stride = groups, stride
        hidden = leaving // 4
        added = leaving - entering if stride == 2 else leaving
        self.reduce = conv_bn(entering, hidden, 1, groups=1 if entering == 24 else groups)
        self.depthwise = conv_bn(hidden, hidden, 3, stride, groups=hidden, act=None)
        self.expand = conv_bn(hidden, added, 1, groups=groups, act=None)
        self.pool = nn.AvgPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(self.depthwise(shuffled(self.reduce(x), self.groups)))
        if self.stride == 2:
            return torch.relu(torch.cat([self.pool(x), y], 1))
        return torch.relu(x + y)


def shufflenet_v1() -> nn.Module:
    groups, entering = 3, 24
    layers: list[nn.Module] = [conv_bn(3, entering, 3, 2), nn.MaxPool2d(3, 2, 1)]
    for depth, leaving in ((4, 240), (8, 480), (4, 960)):
        for position in range(depth):
            layers.append(ShuffleV1(entering, leaving, 1 if position else 2, groups))
            entering = leaving
    return Pooled(nn.Sequential(*layers), entering)


class ShuffleV2(nn.Module):
    """Ma et al. 2018: half of the channels pass, the halves are shuffled."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        half = leaving // 2
        self.stride = stride
        first = half if stride == 1 else entering
        if stride != 1:
            self.left = nn.Sequential(
                conv_bn(entering, entering, 3, stride, groups=entering, act=None),
                conv_bn(entering, half, 1),
            )
        self.right = nn.Sequential(
            conv_bn(first, half, 1),
            conv_bn(half, half, 3, stride, groups=half, act=None),
            conv_bn(half, half, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            left, right = x.chunk(2, dim=1)
        else:
            left, right = self.left(x), x
        return shuffled(torch.cat([left, self.right(right)], 1), 2)


def shufflenet_v2() -> nn.Module:
    layers: list[nn.Module] = [conv_bn(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    entering = 24
    for depth, leaving in ((4, 116), (8, 232), (4, 464)):
        for position in range(depth):
            layers.append(ShuffleV2(entering, leaving, 1 if position else 2))
            entering = leaving
    layers.append(conv_bn(entering, 1024, 1))
    return Pooled(nn.Sequential(*layers), 1024)


class Ghost(nn.Module):
    """Han et al. 2020: half of the channels by 1x1, the other half from those, depthwise."""

    def __init__(self, entering: int, leaving: int, *, rectified: bool) -> None:
        super().__init__()
        act: Activation | None = nn.ReLU if rectified else None
        self.leaving, half = leaving, (leaving + 1) // 2
        self.primary = conv_bn(entering, half, 1, act=act)
        self.cheap = conv_bn(half, half, 3, groups=half, act=act)

    def forward(self, x: Tensor) -> Tensor:
        y = self.primary(x)
        return torch.cat([y, self.cheap(y)], 1)[:, : self.leaving, :, :]


class GhostBottleneck(nn.Module):
    def __init__(
        self, entering: int, hidden: int, leaving: int, kernel: int, stride: int, *, gated: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [Ghost(entering, hidden, rectified=True)]
        if stride == 2:
            layers.append(conv_bn(hidden, hidden, kernel, 2, groups=hidden, act=None))
        if gated:
            layers.append(SqueezeExcite(hidden, hidden // 4, gate=nn.Hardsigmoid))
        layers.append(Ghost(hidden, leaving, rectified=False))
        self.body = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2 or entering != leaving:
            self.shortcut = nn.Sequential(
                conv_bn(entering, entering, kernel, stride, groups=entering, act=None),
                conv_bn(entering, leaving, 1, act=None),
            )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x) + self.shortcut(x)
        return y


GHOSTNET = (
    (3, 16, 16, False, 1), (3, 48, 24, False, 2), (3, 72, 24, False, 1), (5, 72, 40, True, 2),
    (5, 120, 40, True, 1), (3, 240, 80, False, 2), (3, 200, 80, False, 1), (3, 184, 80, False, 1),
    (3, 184, 80, False, 1), (3, 480, 112, True, 1), (3, 672, 112, True, 1), (5, 672, 160, True, 2),
    (5, 960, 160, False, 1), (5, 960, 160, True, 1),
)  # fmt: skip


def ghostnet() -> nn.Module:
    layers: list[nn.Module] = [conv_bn(3, 16, 3, 2)]
    entering = 16
    for kernel, hidden, leaving, gated, stride in GHOSTNET:
        layers.append(GhostBottleneck(entering, hidden, leaving, kernel, stride, gated=gated))
        entering = leaving
    layers.append(conv_bn(entering, 960, 1))
    return Pooled(nn.Sequential(*layers), 960)


IMAGE = (3, 128, 128)
NETWORKS = tuple(
    Network(name, family, source, Task.CLASSIFICATION, IMAGE, make)
    for name, family, source, make in (
        ("mobilenet_v1", "MobileNet", "zoo", mobilenet_v1),
        ("mobilenet_v2", "MobileNet", "benchmarks", mobilenet_v2),
        ("mobilenet_v3_small", "MobileNet", "zoo", partial(mobilenet_v3, V3_SMALL, 1024)),
        ("mobilenet_v3_large", "MobileNet", "zoo", partial(mobilenet_v3, V3_LARGE, 1280)),
        ("mnasnet", "MnasNet", "zoo", mnasnet),
        ("efficientnet_b0", "EfficientNet", "zoo", efficientnet_b0),
        ("efficientnet_lite0", "EfficientNet", "zoo", efficientnet_lite0),
        ("shufflenet_v1", "ShuffleNet", "zoo", shufflenet_v1),
        ("shufflenet_v2", "ShuffleNet", "zoo", shufflenet_v2),
        ("ghostnet", "GhostNet", "zoo", ghostnet),
    )
)
