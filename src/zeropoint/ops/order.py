"""The elements along dimensions in another order: by a list of indices, backwards, or rolled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.graph.build import Builder
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.movement import Movement
from zeropoint.ops.permute import transpose
from zeropoint.ops.shape import unflatten


@dataclass(frozen=True)
class Take(Movement):
    """The entries `indices` of the dimension `axis`, in that order."""

    name: ClassVar[str] = "take"

    axis: int
    indices: tuple[int, ...]

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return x.index_select(self.axis, torch.tensor(self.indices, device=x.device))


@dataclass(frozen=True)
class Flip(Movement):
    """The dimensions `axes` backwards."""

    name: ClassVar[str] = "flip"

    axes: tuple[int, ...]

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return x.flip(self.axes)


@dataclass(frozen=True)
class Roll(Movement):
    """Each of the dimensions `axes` moved on by its shift, its end to the front."""

    name: ClassVar[str] = "roll"

    shifts: tuple[int, ...]
    axes: tuple[int, ...]

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return x.roll(self.shifts, self.axes)


def index_select(to: Builder, shape: Shape, x: Value, axis: int, index: Value) -> Value | str:
    """Capture of aten.index_select by constant indices."""
    found = to.tensor(index)
    if found is None:
        return "its indices are computed at run time"
    axis %= len(x.shape)
    return to.emit(Take(axis, _positive(found, x.shape[axis])), x, shape=shape)


def index(to: Builder, shape: Shape, x: Value, indices: Sequence[Value | None]) -> Value | str:
    """Capture of x[:, [2, 0, 1]]: constant indices along one dimension, of any shape, or a mask."""
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    chosen = [index for index in indices if index is not None]
    if len(chosen) != 1:
        return "it is indexed along several dimensions at once"
    found = to.tensor(chosen[0])
    if found is None:
        return "its indices are computed at run time"
    if found.dtype == torch.bool and found.ndim > 1:
        return "it is indexed by a mask over several dimensions"
    axis, extent = axes[0], x.shape[axes[0]]
    flat = found.nonzero() if found.dtype == torch.bool else found
    if flat.numel() and int(flat.min()) < 0 and not isinstance(extent, int):
        return "its indices count from an end that only the run knows"
    taken = Take(axis, _positive(flat.flatten(), extent))
    rows = (*x.shape[:axis], flat.numel(), *x.shape[axis + 1 :])
    y = to.emit(taken, x, shape=rows)
    is_list = found.dtype == torch.bool or found.ndim == 1
    return y if is_list else unflatten(to, shape, y, axis, tuple(found.shape))


def _positive(index: Tensor, extent: int | str) -> tuple[int, ...]:
    """Indices from the front; those from the end are for extents that are known."""
    return tuple(i + extent if i < 0 and isinstance(extent, int) else i for i in index.tolist())


def flip(to: Builder, shape: Shape, x: Value, axes: Sequence[int]) -> Value:
    """Capture of aten.flip."""
    return to.emit(Flip(tuple(axis % len(x.shape) for axis in axes)), x, shape=shape)


def flip_rows(to: Builder, shape: Shape, x: Value) -> Value:
    """Capture of aten.flipud."""
    return flip(to, shape, x, (0,))


def flip_columns(to: Builder, shape: Shape, x: Value) -> Value:
    """Capture of aten.fliplr."""
    return flip(to, shape, x, (1,))


def rotate(
    to: Builder, shape: Shape, x: Value, turns: int = 1, axes: Sequence[int] = (0, 1)
) -> Value:
    """Capture of aten.rot90: a transposition, a flip, or both."""
    first, second = axes
    turns %= 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(to, shape, x, axes)
    return flip(
        to, shape, transpose(to, shape, x, first, second), axes[:1] if turns == 1 else axes[1:]
    )


def roll(
    to: Builder, shape: Shape, x: Value, shifts: int | Sequence[int], axes: int | Sequence[int] = ()
) -> Value | str:
    """Capture of aten.roll along named dimensions."""
    by = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    over = (axes,) if isinstance(axes, int) else tuple(axes)
    if not over:
        return "it rolls all dimensions as one"
    if not all(isinstance(shift, int) for shift in by):
        return "its shifts are computed at run time"
    return to.emit(Roll(by, tuple(axis % len(x.shape) for axis in over)), x, shape=shape)


OPS = (Take, Flip, Roll)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.index_select.default": index_select,
    "aten.index.Tensor": index,
    "aten.flip.default": flip,
    "aten.flipud.default": flip_rows,
    "aten.fliplr.default": flip_columns,
    "aten.rot90.default": rotate,
    "aten.roll.default": roll,
}
