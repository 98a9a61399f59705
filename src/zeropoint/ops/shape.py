"""Flatten, reshape, and the arithmetic of sizes: integers move, their meaning stays.

`Reshape.shape` has a number for each fixed dimension, KEEP where a dimension is the input's at the
same place (a batch), INFER for the one that follows from the rest, and COMPUTED for those that
come as operands.
"""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Op, Role, Signature
from zeropoint.graph.value import UNKNOWN, Shape, Size, Value

INFER, KEEP, COMPUTED = -1, 0, -2


@dataclass(frozen=True)
class Flatten(IntegerOp):
    """All dimensions from `start` to `end`, inclusive, become one."""

    name: ClassVar[str] = "flatten"
    grid: ClassVar[Grid] = Grid.SHARED

    start: int = 1
    end: int = -1

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return x.flatten(self.start, self.end)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form is the float form."""
        return self.run(inputs[0])


@dataclass(frozen=True)
class Reshape(IntegerOp):
    """x, and a size for each COMPUTED entry of `shape`."""

    name: ClassVar[str] = "reshape"
    grid: ClassVar[Grid] = Grid.SHARED

    shape: tuple[int, ...]

    def roles(self, count: int) -> tuple[Role, ...]:
        """An activation, then sizes."""
        return (Role.ACTIVATION, *[Role.SIZE] * (count - 1))

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        computed = iter(sizes)
        target = [
            x.shape[axis] if size == KEEP else next(computed) if size == COMPUTED else size
            for axis, size in enumerate(self.shape)
        ]
        return x.reshape(target)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form is the float form."""
        x, *sizes = inputs
        return self.run(x, *[int(size) for size in sizes])


@dataclass(frozen=True)
class SizeOf(Op):
    """The extent of one dimension of a tensor, whatever its elements are."""

    name: ClassVar[str] = "size_of"

    axis: int

    def run(self, x: Tensor) -> int:
        """The number of elements along the axis."""
        return x.shape[self.axis]


ARITHMETIC: dict[str, Callable[..., int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "neg": operator.neg,
    "sym_max": max,
    "sym_min": min,
}


@dataclass(frozen=True)
class SizeArithmetic(Op):
    """Arithmetic on sizes. `numbers` holds the constant operands, None where an operand goes."""

    name: ClassVar[str] = "size_arithmetic"

    function: str
    numbers: tuple[int | None, ...]

    def run(self, *sizes: int) -> int:
        """The result."""
        computed = iter(sizes)
        operands = [next(computed) if number is None else number for number in self.numbers]
        return ARITHMETIC[self.function](*operands)


def size_of(to: Builder, shape: Shape, x: Value, axis: int) -> Value:
    """Capture of aten.sym_size."""
    axis %= len(x.shape)
    return to.emit(SizeOf(axis), x, shape=(x.shape[axis],), type=Size())


def flatten(to: Builder, shape: Shape, x: Value, start: int = 0, end: int = -1) -> Value:
    """Capture of aten.flatten."""
    if shape == x.shape:
        return x
    rank = max(len(x.shape), 1)
    last = end % rank
    op = Flatten(start % rank, -1 if last == rank - 1 else last)
    return to.emit(op, x, shape=shape)


def reshape(to: Builder, shape: Shape, x: Value, wanted: Sequence[int | Value]) -> Value:
    """Capture of aten.view and aten.reshape, as a Flatten where it is one."""
    found = [shape[axis] if size == INFER else size for axis, size in enumerate(wanted)]
    kept = [_is_kept(x, axis, size) for axis, size in enumerate(found)]
    last = len(wanted) - 1
    if len(wanted) == len(x.shape) and sum(kept) >= last:
        return x
    if 0 < last < len(x.shape) and all(kept[:last]) and _is_rest(x, last, wanted[last], shape):
        return to.emit(Flatten(last), x, shape=shape)
    sizes = [size for size, keep in zip(wanted, kept, strict=True) if _is_computed(size, keep)]
    entries = tuple(
        KEEP if keep else size if isinstance(size, int) else COMPUTED
        for size, keep in zip(wanted, kept, strict=True)
    )
    operands = [size for size in sizes if isinstance(size, Value)]
    return to.emit(Reshape(entries), x, *operands, shape=shape)


def _is_computed(size: int | Value, keep: bool) -> bool:
    return isinstance(size, Value) and not keep


def _is_kept(x: Value, axis: int, size: int | str | Value) -> bool:
    """True if the dimension is the one that x has there already."""
    wanted = size.shape[0] if isinstance(size, Value) else size
    return axis < len(x.shape) and wanted == x.shape[axis] and wanted != UNKNOWN


def _is_rest(x: Value, start: int, size: int | Value, shape: Shape) -> bool:
    """True if one dimension takes all that is left from `start` on."""
    if size == INFER:
        return True
    rest = [extent for extent in x.shape[start:] if isinstance(extent, int)]
    return len(rest) == len(x.shape) - start and size == math.prod(rest)


OPS = (Flatten, Reshape, SizeOf, SizeArithmetic)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.sym_size.int": size_of,
    "aten.flatten.using_ints": flatten,
    "aten.view.default": reshape,
    "aten.reshape.default": reshape,
    "aten._unsafe_view.default": reshape,
}
