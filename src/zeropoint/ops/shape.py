"""Other shapes for the same elements in the same order, and the arithmetic of sizes.

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

from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.value import UNKNOWN, Shape, Size, Value
from zeropoint.ops.movement import Movement, taken_out

INFER, KEEP, COMPUTED = -1, 0, -2


@dataclass(frozen=True)
class Flatten(Movement):
    """All dimensions from `start` to `end`, inclusive, become one."""

    name: ClassVar[str] = "flatten"

    start: int = 1
    end: int = -1

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return x.flatten(self.start, self.end)


@dataclass(frozen=True)
class Reshape(Movement):
    """x, and a size for each COMPUTED entry of `shape`."""

    name: ClassVar[str] = "reshape"

    shape: tuple[int, ...]

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        computed = iter(sizes)
        target = [
            x.shape[axis] if size == KEEP else next(computed) if size == COMPUTED else size
            for axis, size in enumerate(self.shape)
        ]
        return x.reshape(target)


@dataclass(frozen=True)
class Squeeze(Movement):
    """x without the dimensions `axes`, which are of extent 1."""

    name: ClassVar[str] = "squeeze"

    axes: tuple[int, ...]

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return x.squeeze(self.axes)


@dataclass(frozen=True)
class Unsqueeze(Movement):
    """x with one more dimension, `axis` of the result, of extent 1."""

    name: ClassVar[str] = "unsqueeze"

    axis: int

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return x.unsqueeze(self.axis)


@dataclass(frozen=True)
class SizeOf(Op):
    """The extent of one dimension of a tensor, whatever its elements are."""

    name: ClassVar[str] = "size_of"

    axis: int

    def run(self, x: Tensor) -> int:
        """The number of elements along the axis."""
        return x.shape[self.axis]


ARITHMETIC: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "neg": operator.neg,
    "sym_max": max,
    "sym_min": min,
    "truediv": operator.truediv,
    "pow": operator.pow,
    "sym_float": float,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
}
"""A size on its way may be a float, as in int(x.shape[2] * 0.5)."""


@dataclass(frozen=True)
class SizeArithmetic(Op):
    """Arithmetic on sizes. `numbers` holds the constant operands, None where an operand goes."""

    name: ClassVar[str] = "size_arithmetic"

    function: str
    numbers: tuple[float | None, ...]

    def run(self, *sizes: float) -> float:
        """The result."""
        computed = iter(sizes)
        operands = [next(computed) if number is None else number for number in self.numbers]
        return ARITHMETIC[self.function](*operands)


def computed(to: Builder, function: str, *operands: int | Value) -> Value:
    """The size that such arithmetic makes of numbers and of sizes that only the run knows."""
    numbers, values = taken_out(operands)
    op = SizeArithmetic(function, numbers)
    return to.emit(op, *values, shape=(UNKNOWN,), type=Size(), name=f"{to.hint}.size")


def size_of(to: Builder, shape: Shape, x: Value, axis: int) -> Value:
    """Capture of aten.sym_size."""
    axis %= len(x.shape)
    return to.emit(SizeOf(axis), x, shape=(x.shape[axis],), type=Size())


def count(to: Builder, shape: Shape, x: Value) -> Value:
    """Capture of aten.sym_numel."""
    total: int | Value = 1
    for size in sizes(to, x):
        total = size if total == 1 else computed(to, "mul", total, size)
    return total if isinstance(total, Value) else computed(to, "mul", total, 1)


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


def view_as(to: Builder, shape: Shape, x: Value, other: Value) -> Value:
    """Capture of aten.view_as and aten.reshape_as."""
    return reshape(to, shape, x, sizes(to, other))


def unflatten(
    to: Builder, shape: Shape, x: Value, axis: int, wanted: Sequence[int | Value]
) -> Value:
    """Capture of aten.unflatten."""
    whole = sizes(to, x)
    axis %= len(whole)
    return reshape(to, shape, x, [*whole[:axis], *wanted, *whole[axis + 1 :]])


def ravel(to: Builder, shape: Shape, x: Value) -> Value:
    """Capture of aten.ravel."""
    return flatten(to, shape, x)


def unsqueeze(to: Builder, shape: Shape, x: Value, axis: int) -> Value:
    """Capture of aten.unsqueeze."""
    return to.emit(Unsqueeze(axis % len(shape)), x, shape=shape)


def squeeze(to: Builder, shape: Shape, x: Value, axes: int | Sequence[int] | None = None) -> Value:
    """Capture of aten.squeeze in all its forms."""
    rank = len(x.shape)
    given = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    ones = sorted({axis % rank for axis in given if x.shape[axis] == 1})
    return to.emit(Squeeze(tuple(ones)), x, shape=shape) if ones else x


def sizes(to: Builder, x: Value) -> list[int | Value]:
    """The extents of x: numbers, and nodes for those that only the run knows."""
    return [
        extent
        if isinstance(extent, int)
        else to.emit(SizeOf(axis), x, shape=(extent,), type=Size(), name=f"{to.hint}.size")
        for axis, extent in enumerate(x.shape)
    ]


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


OPS = (Flatten, Reshape, Squeeze, Unsqueeze, SizeOf, SizeArithmetic)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.sym_numel.default": count,
    "aten.sym_size.int": size_of,
    "aten.flatten.using_ints": flatten,
    "aten.view.default": reshape,
    "aten.reshape.default": reshape,
    "aten._unsafe_view.default": reshape,
    "aten.view_as.default": view_as,
    "aten.reshape_as.default": view_as,
    "aten.unflatten.int": unflatten,
    "aten.ravel.default": ravel,
    "aten.unsqueeze.default": unsqueeze,
    "aten.squeeze.default": squeeze,
    "aten.squeeze.dim": squeeze,
    "aten.squeeze.dims": squeeze,
}
