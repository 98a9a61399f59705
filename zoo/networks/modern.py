"""RegNet, RepVGG, ConvNeXt, ConvMixer, PoolFormer, CSP-Darknet's cousins without heads."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.network import Network, Task
from zoo.networks.blocks import Pooled, Residual, SqueezeExcite, conv_bn
from zoo.networks.resnet import shortcut

CLASSES = 100


class RegNetBlock(nn.Module):
    """A bottleneck that is not narrow: 1x1, 3x3 in groups, a gate for Y, 1x1."""

    def __init__(
        self, entering: int, leaving: int, stride: int, *, group_width: int, gated: bool
    ) -> None:
        super().__init__()
        groups = leaving // group_width
        layers = [
            conv_bn(entering, leaving, 1),
            conv_bn(leaving, leaving, 3, stride, groups=groups),
        ]
        if gated:
            layers.append(nn.Sequential(SqueezeExcite(leaving, entering // 4)))
        self.body = nn.Sequential(*layers, conv_bn(leaving, leaving, 1, act=None))
        self.shortcut = shortcut(entering, leaving, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def regnet(
    depths: Sequence[int], widths: Sequence[int], group_width: int, *, gated: bool
) -> nn.Module:
    """Radosavovic et al. 2020."""
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2)]
    entering = 32
    for depth, width in zip(depths, widths, strict=True):
        for position in range(depth):
            stride = 1 if position else 2
            layers.append(
                RegNetBlock(entering, width, stride, group_width=group_width, gated=gated)
            )
            entering = width
    return Pooled(nn.Sequential(*layers), entering)


def regnet_x_400mf() -> nn.Module:
    return regnet((1, 2, 7, 12), (32, 64, 160, 400), 16, gated=False)


def regnet_y_400mf() -> nn.Module:
    return regnet((1, 3, 6, 6), (48, 104, 208, 440), 8, gated=True)


class RepVGGBlock(nn.Module):
    """relu(bn(3x3 x) + bn(1x1 x) + bn(x)) (Ding et al. 2021), as training leaves it.

    `folded`: the three become one 3x3 convolution whose weights are computed at every call, which
    a compiler has to see to be constant.
    """

    def __init__(self, entering: int, leaving: int, stride: int, *, folded: bool) -> None:
        super().__init__()
        self.stride, self.folded = stride, folded
        self.dense = conv_bn(entering, leaving, 3, stride, act=None)
        self.point = conv_bn(entering, leaving, 1, stride, act=None)
        same = entering == leaving and stride == 1
        self.identity = nn.BatchNorm2d(leaving) if same else None

    def forward(self, x: Tensor) -> Tensor:
        if self.folded and not self.dense[1].training:  # not while its statistics are settled
            weight, bias = self.one_convolution()
            return torch.relu(functional.conv2d(x, weight, bias, self.stride, 1))
        y = self.dense(x) + self.point(x)
        return torch.relu(y if self.identity is None else y + self.identity(x))

    def one_convolution(self) -> tuple[Tensor, Tensor]:
        dense, dense_bias = folded(self.dense.get_parameter("0.weight"), self.dense[1])
        point, point_bias = folded(self.point.get_parameter("0.weight"), self.point[1])
        weight, bias = dense + functional.pad(point, (1, 1, 1, 1)), dense_bias + point_bias
        if self.identity is None:
            return weight, bias
        eye = torch.eye(len(weight), dtype=weight.dtype).unsqueeze(-1).unsqueeze(-1)
        identity, identity_bias = folded(functional.pad(eye, (1, 1, 1, 1)), self.identity)
        return weight + identity, bias + identity_bias


def folded(weight: Tensor, norm: nn.BatchNorm2d | nn.Module) -> tuple[Tensor, Tensor]:
    """A convolution's weights and bias with the batch norm behind it in them."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return weight * factor.view(-1, 1, 1, 1), norm.bias - norm.running_mean * factor


def repvgg_a0(*, folded: bool) -> nn.Module:
    layers: list[nn.Module] = []
    entering = 3
    for depth, leaving in ((1, 48), (2, 48), (4, 96), (14, 192), (1, 1280)):
        for position in range(depth):
            layers.append(RepVGGBlock(entering, leaving, 1 if position else 2, folded=folded))
            entering = leaving
    return Pooled(nn.Sequential(*layers), entering)


class ConvNeXtBlock(nn.Module):
    """Liu et al. 2022: depthwise 7x7, layer norm over channels, two linear layers, layer scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, 4 * width)
        self.project = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(0.2 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))  # (N, H, W, C)
        y = self.gamma * self.project(functional.gelu(self.expand(y)))
        z: Tensor = x + y.permute(0, 3, 1, 2)
        return z


class ChannelNorm(nn.Module):
    """Layer norm over the channels of (N, C, H, W), written out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


def convnext_tiny() -> nn.Module:
    """Two thirds of the depth."""
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 4, 4), ChannelNorm(96)]
    entering = 96
    for stage, (depth, width) in enumerate(((2, 96), (2, 192), (6, 384), (2, 768))):
        if stage:
            layers += [ChannelNorm(entering), nn.Conv2d(entering, width, 2, 2)]
        layers += [ConvNeXtBlock(width) for _ in range(depth)]
        entering = width
    return Pooled(nn.Sequential(*layers), entering)


def convmixer() -> nn.Module:
    """Trockman & Kolter 2022: width 256, depth 8, patches of 7, kernels of 9."""
    width = 256
    layers: list[nn.Module] = [nn.Conv2d(3, width, 7, 7), nn.GELU(), nn.BatchNorm2d(width)]
    for _ in range(8):
        places = nn.Conv2d(width, width, 9, groups=width, padding="same")
        layers.append(Residual(nn.Sequential(places, nn.GELU(), nn.BatchNorm2d(width))))
        layers += [nn.Conv2d(width, width, 1), nn.GELU(), nn.BatchNorm2d(width)]
    return Pooled(nn.Sequential(*layers), width)


class PoolMixer(nn.Module):
    """The mean of the neighbours less the place itself (Yu et al. 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pool(x) - x
        return y


class Scaled(nn.Module):
    """x + scale body(norm(x)), the norm over everything (GroupNorm of one group)."""

    def __init__(self, channels: int, body: nn.Module) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.body = body
        self.scale = nn.Parameter(0.2 * torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.scale.unsqueeze(-1).unsqueeze(-1) * self.body(self.norm(x))
        return y


def poolformer_s12() -> nn.Module:
    layers: list[nn.Module] = []
    entering = 3
    for stage, (depth, width) in enumerate(((2, 64), (2, 128), (6, 320), (2, 512))):
        kernel, stride = (7, 4) if stage == 0 else (3, 2)
        layers.append(nn.Conv2d(entering, width, kernel, stride, padding=kernel // 3))
        for _ in range(depth):
            mlp = nn.Sequential(
                nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)
            )
            layers += [Scaled(width, PoolMixer()), Scaled(width, mlp)]
        entering = width
    return Pooled(nn.Sequential(*layers, nn.GroupNorm(1, entering)), entering)


class MixerBlock(nn.Module):
    """MLP-Mixer (Tolstikhin et al. 2021): layers over places, layers over channels."""

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.over_places = nn.Sequential(
            nn.Linear(places, width), nn.GELU(), nn.Linear(width, places)
        )
        self.over_channels = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.over_places(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        y: Tensor = x + self.over_channels(self.norm2(x))
        return y


class Mixer(nn.Module):
    def __init__(self, size: int = 128, patch: int = 16, width: int = 192, depth: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, patch, patch)
        self.blocks = nn.Sequential(
            *(MixerBlock((size // patch) ** 2, width) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)  # (N, places, C)
        logits: Tensor = self.head(self.norm(self.blocks(x)).mean(1))
        return logits


class CrossStage(nn.Module):
    """CSPNet (Wang et al. 2020): half of the channels go round the blocks."""

    def __init__(self, entering: int, leaving: int, depth: int) -> None:
        super().__init__()
        act = partial(nn.LeakyReLU, 0.1, inplace=True)
        half = leaving // 2
        self.down = conv_bn(entering, leaving, 3, 2, act=act)
        self.left = conv_bn(leaving, half, 1, act=act)
        self.right = conv_bn(leaving, half, 1, act=act)
        self.blocks = nn.Sequential(
            *(
                Residual(
                    nn.Sequential(conv_bn(half, half, 1, act=act), conv_bn(half, half, act=act))
                )
                for _ in range(depth)
            )
        )
        self.join = conv_bn(leaving, leaving, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        y: Tensor = self.join(torch.cat([self.left(x), self.blocks(self.right(x))], 1))
        return y


def cspdarknet() -> nn.Module:
    layers: list[nn.Module] = [conv_bn(3, 32, act=partial(nn.LeakyReLU, 0.1))]
    entering = 32
    for depth, leaving in ((1, 64), (2, 128), (4, 256), (4, 512), (2, 512)):
        layers.append(CrossStage(entering, leaving, depth))
        entering = leaving
    return Pooled(nn.Sequential(*layers), entering)


IMAGE = (3, 128, 128)
NETWORKS = tuple(
    Network(name, family, "zoo", Task.CLASSIFICATION, shape, make, convolutional=convolutional)
    for name, family, shape, make, convolutional in (
        ("regnet_x_400mf", "RegNet", IMAGE, regnet_x_400mf, True),
        ("regnet_y_400mf", "RegNet", IMAGE, regnet_y_400mf, True),
        ("repvgg_a0", "RepVGG", IMAGE, partial(repvgg_a0, folded=False), True),
        ("repvgg_a0_folded", "RepVGG", IMAGE, partial(repvgg_a0, folded=True), True),
        ("cspdarknet", "CSPDarknet", IMAGE, cspdarknet, True),
        ("convnext_tiny", "ConvNeXt", IMAGE, convnext_tiny, True),
        ("convmixer", "ConvMixer", (3, 112, 112), convmixer, True),
        ("poolformer_s12", "PoolFormer", IMAGE, poolformer_s12, True),
        ("mixer", "MLP-Mixer", IMAGE, Mixer, False),
    )
)
