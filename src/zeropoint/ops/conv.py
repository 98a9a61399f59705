"""Convolution with a residual addend, a function and a clamp, all in one operator.

    float     y = clamp(f(x * w + b + addend), low, high)
    integer   q_y = clamp(round(M acc [+ M_a (q_a - z_a)]) + z_y)
              M = s_x s_w / s_y        M_a = s_a / s_y
    with f    q_y = clamp(round(f(s_x s_w acc [+ s_a (q_a - z_a)]) / s_y) + z_y)            (5)

The addend meets the accumulator before the one rounding, and so does the function: the
convolution's own result is never 8 bits wide. With an int32 output the accumulator itself is the
result, at scale s_x s_w for each channel.

In one, two and three dimensions; the transposed kind is in conv_transpose.py.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import INT32
from zeropoint.arithmetic.qparams import broadcast
from zeropoint.arithmetic.requantize import Arithmetic, Term
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import UNKNOWN, Shape, Value
from zeropoint.ops.accumulate import accumulated
from zeropoint.ops.epilogue import finished, finished_real
from zeropoint.ops.functions import Steps
from zeropoint.ops.pad import Pad

Sizes = tuple[int, ...]
"""A number for each spatial dimension."""


@dataclass(frozen=True)
class Convolution(IntegerOp):
    """x (N, C, ...), weight (O, C / groups, ...), bias (O,)[, addend of the result's shape]."""

    grid: ClassVar[Grid] = Grid.OWN

    stride: Sizes
    padding: Sizes
    dilation: Sizes
    groups: int = 1
    low: float | None = None
    high: float | None = None
    function: Steps = ()

    @abstractmethod
    def products(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The sums x * w + b, in the precision of their operands."""

    def roles(self, count: int) -> tuple[Role, ...]:
        """x, weight, bias and perhaps an addend."""
        return (Role.ACTIVATION, Role.WEIGHT, Role.BIAS, Role.ACTIVATION)[:count]

    def run(self, x: Tensor, weight: Tensor, bias: Tensor, addend: Tensor | None = None) -> Tensor:
        """The float form."""
        y = self.products(x, weight, bias)
        if addend is not None:
            y += addend
        return finished_real(y, self.function, (self.low, self.high))

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        accumulator = self.accumulate(inputs, signature)
        out = signature.output
        if out.type == INT32:
            return accumulator
        x, weight, *_ = signature.inputs
        product = x.scale.to(torch.float64) * weight.scale.to(torch.float64)
        terms = [Term(accumulator, broadcast(product, accumulator.ndim, 1))]
        if len(inputs) == 4:
            addend = signature.inputs[3]
            residual = inputs[3].to(torch.int32) - addend.zero_point
            terms.append(Term(residual, addend.scale.to(torch.float64)))
        return finished(terms, self.function, (self.low, self.high), out, arithmetic)

    def accumulate(self, inputs: Sequence[Tensor], signature: Signature) -> Tensor:
        """Equation (2): int32, bias included. Padding adds zeros, since x is centred first."""
        return accumulated(self.products, inputs, signature)


class Conv(Convolution):
    """The ordinary kind."""

    def products(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The sums x * w + b."""
        window = (self.stride, self.padding, self.dilation)
        return torch.convolution(
            x, weight, bias, *window, False, (0,) * len(self.stride), self.groups
        )


@dataclass(frozen=True)
class Conv1d(Conv):
    """x (N, C, L), weight (O, C / groups, k)."""

    name: ClassVar[str] = "conv1d"

    stride: Sizes = (1,)
    padding: Sizes = (0,)
    dilation: Sizes = (1,)


@dataclass(frozen=True)
class Conv2d(Conv):
    """x (N, C, H, W), weight (O, C / groups, kH, kW)."""

    name: ClassVar[str] = "conv2d"

    stride: Sizes = (1, 1)
    padding: Sizes = (0, 0)
    dilation: Sizes = (1, 1)


@dataclass(frozen=True)
class Conv3d(Conv):
    """x (N, C, D, H, W), weight (O, C / groups, kD, kH, kW)."""

    name: ClassVar[str] = "conv3d"

    stride: Sizes = (1, 1, 1)
    padding: Sizes = (0, 0, 0)
    dilation: Sizes = (1, 1, 1)


CONVS: dict[int, type[Conv1d] | type[Conv2d] | type[Conv3d]] = {1: Conv1d, 2: Conv2d, 3: Conv3d}
"""By the number of spatial dimensions."""


def conv(
    to: Builder,
    shape: Shape,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] | str = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Value | str:
    """Capture of aten.conv1d to conv3d; padding="same" may become a pad and a convolution."""
    if to.tensor(weight) is None:
        return "its weight is computed at run time"
    if len(x.shape) != len(weight.shape):
        return "its input has no batch dimension"
    rank = len(weight.shape) - 2
    if bias is None:
        bias = to.constant(f"{weight.name}.zero_bias", torch.zeros(int(weight.shape[0])))
    steps = spread(dilation, rank)
    if isinstance(padding, str):
        before, after = _named_padding(padding, weight, steps)
        if before != after:
            x = _pad(to, x, before, after)
            before = (0,) * rank
        padding = before
    op = CONVS[rank](spread(stride, rank), spread(padding, rank), steps, groups)
    return to.emit(op, x, weight, bias, shape=shape)


def spread(values: Sequence[int], rank: int) -> Sizes:
    """A number for each dimension, from as many or from one for all."""
    return tuple(values) if len(values) == rank else tuple(values) * rank


def _named_padding(padding: str, weight: Value, dilation: Sizes) -> tuple[Sizes, Sizes]:
    if padding == "valid":
        return (0,) * len(dilation), (0,) * len(dilation)
    total = [d * (int(size) - 1) for d, size in zip(dilation, weight.shape[2:], strict=True)]
    before = tuple(size // 2 for size in total)
    return before, tuple(size - b for size, b in zip(total, before, strict=True))


def _pad(to: Builder, x: Value, before: Sizes, after: Sizes) -> Value:
    grown = tuple(
        size + b + a if isinstance(size, int) else UNKNOWN
        for size, b, a in zip(x.shape[2:], before, after, strict=True)
    )
    sides = zip(reversed(before), reversed(after), strict=True)
    op = Pad(tuple(amount for pair in sides for amount in pair))
    return to.emit(op, x, shape=(*x.shape[:2], *grown), name=f"{to.hint}.pad")


OPS = (Conv1d, Conv2d, Conv3d)
CAPTURES = {
    f"aten.conv{rank}d.{overload}": conv for rank in CONVS for overload in ("default", "padding")
}
