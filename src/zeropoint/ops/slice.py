"""A part of one dimension: slices, and what is made of them (narrow, select, split, chunk, ...).

Operators of torch with several results become as many slices: those that nobody reads are gone
before anything runs.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from zeropoint.graph.build import Builder
from zeropoint.graph.value import UNKNOWN, Shape, Value
from zeropoint.ops.movement import Movement, Numbers, put_in, taken_out
from zeropoint.ops.shape import Squeeze, computed, size_of

END = sys.maxsize
"""As torch spells the end of a dimension."""

Bound = int | Value | None


@dataclass(frozen=True)
class Slice(Movement):
    """x[start:stop:step] along `axis`, with Python's meaning of negative bounds."""

    name: ClassVar[str] = "slice"

    axis: int
    start: int | None = 0
    stop: int | None = END
    step: int = 1

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        start, stop = put_in(self._bounds, sizes)
        return x[(*[slice(None)] * self.axis, slice(start, stop, self.step))]

    @property
    def _bounds(self) -> Numbers:
        return self.start, self.stop


def slice_(
    to: Builder,
    shape: Shape,
    x: Value,
    axis: int = 0,
    start: Bound = None,
    stop: Bound = None,
    step: int = 1,
) -> Value:
    """Capture of aten.slice; x itself where everything is taken."""
    axis %= len(x.shape)
    extent = x.shape[axis]
    first = 0 if start is None else start
    last = END if stop is None or _is_extent(stop, extent) else stop
    if (first, last, step) == (0, END, 1):
        return x
    (start_at, stop_at), sizes = taken_out((first, last))
    return to.emit(Slice(axis, start_at, stop_at, step), x, *sizes, shape=shape)


def _is_extent(stop: int | Value, extent: int | str) -> bool:
    size = stop.shape[0] if isinstance(stop, Value) else stop
    return size == extent and extent != UNKNOWN


def narrow(
    to: Builder, shape: Shape, x: Value, axis: int, start: int | Value, length: int | Value
) -> Value:
    """Capture of aten.narrow."""
    stop = _end(to, start, length)
    if isinstance(start, int) and start < 0 and stop == 0:
        stop = END
    return slice_(to, shape, x, axis, start, stop)


def select(to: Builder, shape: Shape, x: Value, axis: int, index: int | Value) -> Value | str:
    """Capture of aten.select: a slice of one, without its dimension."""
    if isinstance(index, Value):
        return "its index is computed at run time"
    axis %= len(x.shape)
    stop = END if index == -1 else index + 1
    one = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    part = slice_(to, one, x, axis, index, stop)
    return to.emit(Squeeze((axis,)), part, shape=shape)


def split(
    to: Builder, shapes: Sequence[Shape], x: Value, length: int | Value, axis: int = 0
) -> list[Value] | str:
    """Capture of aten.split."""
    return _pieces(to, shapes, x, [length] * len(shapes), axis)


def chunk(
    to: Builder, shapes: Sequence[Shape], x: Value, count: int, axis: int = 0
) -> list[Value] | str:
    """Capture of aten.chunk: pieces of ceil(size / count)."""
    known = shapes[0][axis]
    if isinstance(known, int):
        return split(to, shapes, x, known, axis)
    size = size_of(to, (), x, axis)
    length = computed(to, "floordiv", computed(to, "add", size, count - 1), count)
    return split(to, shapes, x, length, axis)


def split_where_known(
    to: Builder, shapes: Sequence[Shape], x: Value, places: object, axis: int = 0
) -> list[Value] | str:
    """Capture of aten.tensor_split, whose pieces' lengths are read off the results."""
    return _pieces(to, shapes, x, [shape[axis] for shape in shapes], axis)


def split_with_sizes(
    to: Builder, shapes: Sequence[Shape], x: Value, lengths: Sequence[int | Value], axis: int = 0
) -> list[Value] | str:
    """Capture of aten.split_with_sizes; a length may be computed at run time."""
    return _pieces(to, shapes, x, lengths, axis)


def _pieces(
    to: Builder,
    shapes: Sequence[Shape],
    x: Value,
    lengths: Sequence[int | str | Value],
    axis: int,
) -> list[Value] | str:
    """Slices of those lengths, one after the other; the last goes to the end."""
    axis %= len(x.shape)
    start: int | Value = 0
    pieces = []
    for shape, length in zip(shapes[:-1], lengths[:-1], strict=True):
        if isinstance(length, str):
            return "only the run knows how long its pieces are"
        stop = _end(to, start, length)
        pieces.append(slice_(to, shape, x, axis, start, stop))
        start = stop
    return [*pieces, slice_(to, shapes[-1], x, axis, start)]


def _end(to: Builder, start: int | Value, length: int | Value) -> int | Value:
    """start + length, computed by the run if one of them is."""
    if isinstance(start, int) and isinstance(length, int):
        return start + length
    if start == 0:
        return length
    return computed(to, "add", start, length)


def horizontal_split(
    to: Builder, shapes: Sequence[Shape], x: Value, pieces: object
) -> list[Value] | str:
    """Capture of aten.hsplit."""
    return split_where_known(to, shapes, x, pieces, 1 if len(x.shape) > 1 else 0)


def vertical_split(
    to: Builder, shapes: Sequence[Shape], x: Value, pieces: object
) -> list[Value] | str:
    """Capture of aten.vsplit."""
    return split_where_known(to, shapes, x, pieces, 0)


def unbind(to: Builder, shapes: Sequence[Shape], x: Value, axis: int = 0) -> list[Value]:
    """Capture of aten.unbind: every entry of a dimension."""
    entries = [select(to, shape, x, axis, index) for index, shape in enumerate(shapes)]
    return [entry for entry in entries if isinstance(entry, Value)]  # all: no index is computed


OPS = (Slice,)
CAPTURES: dict[str, Callable[..., Value | list[Value] | str]] = {
    "aten.slice.Tensor": slice_,
    "aten.narrow.default": narrow,
    "aten.select.int": select,
    "aten.split.Tensor": split,
    "aten.split.sizes": split_with_sizes,
    "aten.split_with_sizes.default": split_with_sizes,
    "aten.chunk.default": chunk,
    "aten.unsafe_chunk.default": chunk,
    "aten.unsafe_split.Tensor": split,
    "aten.unsafe_split_with_sizes.default": split_with_sizes,
    "aten.tensor_split.sections": split_where_known,
    "aten.tensor_split.indices": split_where_known,
    "aten.hsplit.int": horizontal_split,
    "aten.hsplit.array": horizontal_split,
    "aten.vsplit.int": vertical_split,
    "aten.vsplit.array": vertical_split,
    "aten.unbind.int": unbind,
}
