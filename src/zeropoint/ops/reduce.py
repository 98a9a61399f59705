"""Reductions over any dimensions: the mean, the sum, the greatest.

mean      integer   q_y = clamp(round(M sum (q_x - z_x)) + z_y)      M = s_x / (n s_y)
sum       integer   the same with M = s_x / s_y; over a dimension that a stack has made, additions
greatest  float and integer alike: the grid is that of x
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic, Term
from zeropoint.arithmetic.requantize import Grid as Result
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Plain, Shape, Value
from zeropoint.ops.accumulate import as_int32, centred
from zeropoint.ops.add import add
from zeropoint.ops.concat import Concat
from zeropoint.ops.movement import Movement
from zeropoint.ops.shape import Unsqueeze, unsqueeze

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Mean(IntegerOp):
    """x without the dimensions `axes`, or with extent 1 there."""

    name: ClassVar[str] = "mean"
    grid: ClassVar[Grid] = Grid.OWN

    axes: Axes
    keep: bool = False

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return x.mean(self.axes, self.keep)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        total = centred(inputs[0], signature.inputs[0]).sum(self.axes, self.keep)
        return average(total, self.count(inputs[0].shape), signature, arithmetic)

    def count(self, shape: Sequence[int]) -> Tensor:
        """How many elements are averaged."""
        return torch.tensor(prod(shape[axis] for axis in self.axes), dtype=torch.float64)


@dataclass(frozen=True)
class Sum(IntegerOp):
    """x without the dimensions `axes`, or with extent 1 there."""

    name: ClassVar[str] = "sum"
    grid: ClassVar[Grid] = Grid.OWN

    axes: Axes
    keep: bool = False

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return x.sum(self.axes, self.keep)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        total = centred(inputs[0], signature.inputs[0]).sum(self.axes, self.keep)
        return average(total, torch.ones((), dtype=torch.float64), signature, arithmetic)


@dataclass(frozen=True)
class Amax(Movement):
    """The greatest element along `axes`, without these dimensions, or with extent 1 there."""

    name: ClassVar[str] = "amax"

    axes: Axes
    keep: bool = False

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form; integers are in the order of what they stand for."""
        return x.amax(self.axes, self.keep)


def average(
    total: Tensor, divisors: Tensor, signature: Signature, arithmetic: Arithmetic
) -> Tensor:
    """Sums (exact float64) divided and moved to the grid of the output."""
    out = signature.output
    multiplier = signature.inputs[0].scale.to(torch.float64) / (divisors * out.scale)
    grid = Result(int(out.zero_point.item()), out.low, out.high)
    return arithmetic.requantize([Term(as_int32(total), multiplier)], grid).to(out.type.storage)


def sum_(
    to: Builder,
    shape: Shape,
    x: Value,
    axes: Sequence[int] | int | None = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Value | str:
    """Capture of aten.sum."""
    over = axes_of(x, axes)
    parts = stacked(to, x, over)
    if parts:
        return _added(to, shape, parts, over[0] if keepdim else None)
    return why_not_reduced(x, over) or to.emit(Sum(over, keepdim), x, shape=shape)


def stacked(to: Builder, x: Value, axes: Axes) -> list[Value]:
    """The tensors whose stack along the one axis x is; none if it is something else."""
    node = to.writer(x)
    if node is None or not (isinstance(node.op, Concat) and (node.op.axis,) == axes):
        return []
    parts = [to.writer(to.values[name]) for name in node.inputs]
    found = [
        to.values[part.inputs[0]]
        for part in parts
        if part is not None and isinstance(part.op, Unsqueeze) and part.op.axis == node.op.axis
    ]
    return found if len(found) == len(parts) else []


def _added(to: Builder, shape: Shape, parts: Sequence[Value], kept: int | None) -> Value | str:
    """The sum of tensors of one shape; of a dimension that is kept one element is left."""
    total, each = parts[0], parts[0].shape
    for part in parts[1:]:
        found = add(to, each, total, part)
        if isinstance(found, str):
            return found
        total = found
    return total if kept is None else unsqueeze(to, shape, total, kept)


def amax(
    to: Builder, shape: Shape, x: Value, axes: Sequence[int] | int = (), keepdim: bool = False
) -> Value:
    """Capture of aten.amax, and of aten.max along a dimension if nobody reads its indices."""
    return to.emit(Amax(axes_of(x, axes), keepdim), x, shape=shape)


def axes_of(x: Value, axes: Sequence[int] | int | None) -> Axes:
    """The dimensions from the front; all of them where none is named."""
    rank = len(x.shape)
    given = [axes] if isinstance(axes, int) else axes or range(rank)
    return tuple(sorted(axis % rank for axis in given))


def why_not_reduced(x: Value, axes: Axes) -> str | None:
    """Why an average or a sum has no integer form; None if it has."""
    if not (isinstance(x.type, Plain) and x.type.dtype.is_floating_point):
        return "it computes with integers"
    return "it reduces the batch, which may be of any size" if 0 in axes else None


OPS = (Mean, Sum, Amax)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.sum.dim_IntList": sum_,
    "aten.sum.default": sum_,
    "aten.amax.default": amax,
    "aten.max.dim": amax,
}
