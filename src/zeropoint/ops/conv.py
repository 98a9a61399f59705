"""Convolution in two dimensions, with an optional residual addend and a clamp, all in one operator.

    float     y = clamp(x * w + b + addend, low, high)
    integer   q_y = clamp(round(M acc [+ M_a (q_a - z_a)]) + z_y)
              M = s_x s_w / s_y        M_a = s_a / s_y

The addend meets the accumulator before the one rounding: the convolution's own result is never 8
bits wide. With an int32 output the accumulator itself is the result, at scale s_x s_w for each
channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic.integer import INT32
from zeropoint.arithmetic.qparams import broadcast
from zeropoint.arithmetic.requantize import Arithmetic, Term
from zeropoint.arithmetic.requantize import Grid as Result
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import UNKNOWN, Shape, Value
from zeropoint.ops.accumulate import accumulated, clamp_real, real_bounds
from zeropoint.ops.pad import Pad

Pair = tuple[int, int]


@dataclass(frozen=True)
class Conv2d(IntegerOp):
    """x (N, C, H, W), weight (O, C / groups, kH, kW), bias (O,)[, addend (N, O, H', W')]."""

    name: ClassVar[str] = "conv2d"
    grid: ClassVar[Grid] = Grid.OWN

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    low: float | None = None
    high: float | None = None

    def roles(self, count: int) -> tuple[Role, ...]:
        """x, weight, bias and perhaps an addend."""
        return (Role.ACTIVATION, Role.WEIGHT, Role.BIAS, Role.ACTIVATION)[:count]

    def run(self, x: Tensor, weight: Tensor, bias: Tensor, addend: Tensor | None = None) -> Tensor:
        """The float form."""
        y = F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        if addend is not None:
            y += addend
        return clamp_real(y, self.low, self.high)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        accumulator = self.accumulate(inputs, signature)
        out = signature.output
        if out.type == INT32:
            return accumulator
        x, weight, *_ = signature.inputs
        product = x.scale.to(torch.float64) * weight.scale.to(torch.float64) / out.scale
        terms = [Term(accumulator, broadcast(product, 4, 1))]
        if len(inputs) == 4:
            addend = signature.inputs[3]
            residual = inputs[3].to(torch.int32) - addend.zero_point
            terms.append(Term(residual, addend.scale.to(torch.float64) / out.scale))
        zero_point = int(out.zero_point.item())
        grid = Result(zero_point, *real_bounds(self.low, self.high, out))
        return arithmetic.requantize(terms, grid).to(out.type.storage)

    def accumulate(self, inputs: Sequence[Tensor], signature: Signature) -> Tensor:
        """Equation (2): int32, bias included. Padding adds zeros, since x is centred first."""

        def product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            where = self.stride, self.padding, self.dilation, self.groups
            return F.conv2d(x, weight, bias, *where)

        return accumulated(product, inputs, signature)


def conv2d(
    to: Builder,
    shape: Shape,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] | str = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Value | str:
    """Capture of aten.conv2d; padding="same" with an even kernel becomes a pad and a conv."""
    if to.tensor(weight) is None:
        return "its weight is computed at run time"
    if len(x.shape) != 4:
        return "its input has no batch dimension"
    if bias is None:
        bias = to.constant(f"{weight.name}.zero_bias", torch.zeros(int(weight.shape[0])))
    steps = _pair(dilation)
    if isinstance(padding, str):
        before, after = _named_padding(padding, weight, steps)
        if before != after:
            x = _pad(to, x, before, after)
            before = (0, 0)
        padding = before
    op = Conv2d(_pair(stride), _pair(padding), steps, groups)
    return to.emit(op, x, weight, bias, shape=shape)


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
    """Capture of aten.convolution where it is an ordinary 2-d one."""
    if transposed:
        return "transposed convolution has no integer form yet"
    if len(weight.shape) != 4:
        return f"convolution in {len(weight.shape) - 2} dimensions has no integer form yet"
    return conv2d(to, shape, x, weight, bias, stride, padding, dilation, groups)


def _pair(values: Sequence[int]) -> Pair:
    first, *rest = values
    return first, (rest[0] if rest else first)


def _named_padding(padding: str, weight: Value, dilation: Pair) -> tuple[Pair, Pair]:
    if padding == "valid":
        return (0, 0), (0, 0)
    total = [d * (int(size) - 1) for d, size in zip(dilation, weight.shape[2:], strict=True)]
    before = (total[0] // 2, total[1] // 2)
    return before, (total[0] - before[0], total[1] - before[1])


def _pad(to: Builder, x: Value, before: Pair, after: Pair) -> Value:
    grown = tuple(
        size + b + a if isinstance(size, int) else UNKNOWN
        for size, b, a in zip(x.shape[2:], before, after, strict=True)
    )
    op = Pad((before[1], after[1], before[0], after[0]))
    return to.emit(op, x, shape=(*x.shape[:2], *grown), name=f"{to.hint}.pad")


OPS = (Conv2d,)
CAPTURES = {
    "aten.conv2d.default": conv2d,
    "aten.conv2d.padding": conv2d,
    "aten.convolution.default": convolution,
}
