"""Transposed convolution, with a function and a clamp in one operator.

    y[o, s i + d k - p] += w[o, c, k] x[c, i]        over all channels c, elements i and taps k

Its integer form is that of a convolution (conv.py). Output channels come first in its weight, as
everywhere here, and torch has them second: its (C, O / groups, ...) becomes (O, C / groups, ...) at
capture, so that the scales of output channels lie along axis 0, and batch norm folds into rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.graph.build import Builder
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.conv import Convolution, Sizes, conv, spread


@dataclass(frozen=True)
class ConvTranspose(Convolution):
    """`output_padding` more elements at the end of each dimension, as torch has it."""

    output_padding: Sizes = ()

    def products(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The sums of the products that meet, and b."""
        window = (self.stride, self.padding, self.dilation)
        return torch.convolution(
            x, as_torch(weight, self.groups), bias, *window, True, self.output_padding, self.groups
        )


@dataclass(frozen=True)
class ConvTranspose1d(ConvTranspose):
    """x (N, C, L), weight (O, C / groups, k)."""

    name: ClassVar[str] = "conv_transpose1d"

    stride: Sizes = (1,)
    padding: Sizes = (0,)
    dilation: Sizes = (1,)
    output_padding: Sizes = (0,)


@dataclass(frozen=True)
class ConvTranspose2d(ConvTranspose):
    """x (N, C, H, W), weight (O, C / groups, kH, kW)."""

    name: ClassVar[str] = "conv_transpose2d"

    stride: Sizes = (1, 1)
    padding: Sizes = (0, 0)
    dilation: Sizes = (1, 1)
    output_padding: Sizes = (0, 0)


@dataclass(frozen=True)
class ConvTranspose3d(ConvTranspose):
    """x (N, C, D, H, W), weight (O, C / groups, kD, kH, kW)."""

    name: ClassVar[str] = "conv_transpose3d"

    stride: Sizes = (1, 1, 1)
    padding: Sizes = (0, 0, 0)
    dilation: Sizes = (1, 1, 1)
    output_padding: Sizes = (0, 0, 0)


TRANSPOSED: dict[int, type[ConvTranspose1d] | type[ConvTranspose2d] | type[ConvTranspose3d]] = {
    1: ConvTranspose1d,
    2: ConvTranspose2d,
    3: ConvTranspose3d,
}
"""By the number of spatial dimensions."""


def as_torch(weight: Tensor, groups: int) -> Tensor:
    """(O, C / groups, ...) to torch's (C, O / groups, ...)."""
    outputs, per_group, *kernel = weight.shape
    grouped = weight.reshape(groups, outputs // groups, per_group, *kernel)
    return grouped.transpose(1, 2).reshape(groups * per_group, outputs // groups, *kernel)


def from_torch(weight: Tensor, groups: int) -> Tensor:
    """The inverse of `as_torch`."""
    inputs, per_group, *kernel = weight.shape
    grouped = weight.reshape(groups, inputs // groups, per_group, *kernel)
    return grouped.transpose(1, 2).reshape(groups * per_group, inputs // groups, *kernel)


def conv_transpose(
    to: Builder,
    shape: Shape,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int | Value] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Value | str:
    """Capture of aten.conv_transpose1d to 3d."""
    content = to.tensor(weight)
    if content is None:
        return "its weight is computed at run time"
    if len(x.shape) != len(weight.shape):
        return "its input has no batch dimension"
    more = [amount for amount in output_padding if isinstance(amount, int)]
    if len(more) < len(output_padding):
        return "its output padding is computed at run time"
    rank = len(weight.shape) - 2
    rows = to.constant(f"{weight.name}.rows", from_torch(content, groups).contiguous())
    if bias is None:
        bias = to.constant(f"{weight.name}.zero_bias", torch.zeros(int(rows.shape[0])))
    op = TRANSPOSED[rank](
        spread(stride, rank),
        spread(padding, rank),
        spread(dilation, rank),
        groups,
        output_padding=spread(more, rank),
    )
    return to.emit(op, x, rows, bias, shape=shape)


def convolution(
    to: Builder,
    shape: Shape,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Value | str:
    """Capture of aten.convolution, which is all of them."""
    if transposed:
        window = (stride, padding, output_padding, groups, dilation)
        return conv_transpose(to, shape, x, weight, bias, *window)
    return conv(to, shape, x, weight, bias, stride, padding, dilation, groups)


OPS = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.conv_transpose1d.default": conv_transpose,
    "aten.conv_transpose2d.input": conv_transpose,
    "aten.conv_transpose3d.input": conv_transpose,
    "aten.convolution.default": convolution,
}
