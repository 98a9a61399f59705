"""Dimensions repeated: broadcast from one entry, or as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from zeropoint.graph.build import Builder
from zeropoint.graph.value import UNKNOWN, Shape, Value
from zeropoint.ops.movement import Movement, Numbers, put_in, taken_out
from zeropoint.ops.shape import flatten, sizes, unsqueeze

KEPT = -1


@dataclass(frozen=True)
class Expand(Movement):
    """Dimensions of extent 1 repeated up to `shape`; KEPT stays, others may come in front."""

    name: ClassVar[str] = "expand"

    shape: Numbers

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return x.expand(put_in(self.shape, sizes))


@dataclass(frozen=True)
class Repeat(Movement):
    """x so many `times` along each dimension; more dimensions than x has come in front."""

    name: ClassVar[str] = "repeat"

    times: tuple[int, ...]

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return x.repeat(self.times)


def expand(
    to: Builder, shape: Shape, x: Value, wanted: Sequence[int | Value], implicit: bool = False
) -> Value:
    """Capture of aten.expand and broadcast_to; x itself where it has that shape already."""
    before = len(wanted) - len(x.shape)
    kept = [
        axis >= before and _is_alike(x.shape[axis - before], shape[axis])
        for axis in range(len(wanted))
    ]
    if all(kept):
        return x
    entries = [KEPT if keep else size for keep, size in zip(kept, wanted, strict=True)]
    numbers, operands = taken_out(entries)
    return to.emit(Expand(numbers), x, *operands, shape=shape)


def _is_alike(extent: int | str, wanted: int | str) -> bool:
    return extent == wanted and extent != UNKNOWN


def expand_as(to: Builder, shape: Shape, x: Value, other: Value) -> Value:
    """Capture of aten.expand_as."""
    return expand(to, shape, x, sizes(to, other))


def repeat(to: Builder, shape: Shape, x: Value, times: Sequence[int]) -> Value | str:
    """Capture of aten.repeat and aten.tile."""
    if not all(isinstance(count, int) for count in times):
        return "how often it is repeated is computed at run time"
    whole = (*[1] * (len(x.shape) - len(times)), *times)
    same = len(whole) == len(x.shape) and set(whole) == {1}
    return x if same else to.emit(Repeat(whole), x, shape=shape)


def repeat_each(
    to: Builder,
    shape: Shape,
    x: Value,
    times: int,
    axis: int | None = None,
    output_size: int | None = None,
) -> Value | str:
    """Capture of aten.repeat_interleave by a number: each entry so many times in a row."""
    if axis is None or not isinstance(times, int):
        return "it repeats all dimensions as one, or as often as only the run knows"
    axis %= len(x.shape)
    row = unsqueeze(to, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]), x, axis + 1)
    wide = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
    entries = tuple(times if place == axis + 1 else KEPT for place in range(len(wide)))
    return flatten(to, shape, to.emit(Expand(entries), row, shape=wide), axis, axis + 1)


OPS = (Expand, Repeat)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.expand.default": expand,
    "aten.broadcast_to.default": expand,
    "aten.expand_as.default": expand_as,
    "aten.repeat.default": repeat,
    "aten.tile.default": repeat,
    "aten.repeat_interleave.self_int": repeat_each,
}
