"""The few blocks that many architectures share."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Callable[[], nn.Module]

LEAKY = partial(nn.LeakyReLU, 0.1)


def conv_bn(
    entering: int,
    leaving: int,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
    *,
    groups: int = 1,
    dilation: int = 1,
    act: Activation | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution that keeps the map's size apart from the stride, batch norm, activation."""
    rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (dilation * (rows // 2), dilation * (columns // 2))
    conv = nn.Conv2d(
        entering,
        leaving,
        (rows, columns),
        stride,
        padding,
        dilation=dilation,
        groups=groups,
        bias=False,
    )
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(leaving)]
    if act is not None:
        layers.append(act())
    return nn.Sequential(*layers)


def separable(
    entering: int, leaving: int, stride: int = 1, *, kernel: int = 3, act: Activation = nn.ReLU
) -> nn.Sequential:
    """Depthwise, then pointwise convolution, a batch norm and an activation after each."""
    return nn.Sequential(
        conv_bn(entering, entering, kernel, stride, groups=entering, act=act),
        conv_bn(entering, leaving, 1, act=act),
    )


class SqueezeExcite(nn.Module):
    """x scaled by channel (Hu et al. 2018): x gate(expand(relu(reduce(mean x))))."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        *,
        act: Activation = nn.ReLU,
        gate: Activation = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.act = act()
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        s = x.mean((2, 3), keepdim=True)
        scaled: Tensor = x * self.gate(self.expand(self.act(self.reduce(s))))
        return scaled


class Pooled(nn.Module):
    """Features, their mean over the map, a linear layer."""

    def __init__(self, features: nn.Module, channels: int, classes: int = 100) -> None:
        super().__init__()
        self.features = features
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(torch.flatten(self.pool(self.features(x)), 1))
        return logits


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear, to the height and width of another map."""
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
