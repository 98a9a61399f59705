"""What moves elements only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from zeropoint.export.onnx.aten.arguments import (
    Argument,
    Rule,
    axes_of,
    extent_of,
    rank,
    shape_list,
    tensor,
)
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.export.onnx.sizes import size_of

LARGEST = 2**31
"""torch says "to the end" by a larger number."""


def transpose(sheet: Sheet, x: Operand, first: int, second: int) -> str:
    """Two dimensions exchanged."""
    order = list(range(rank(x)))
    order[first], order[second] = order[second], order[first]
    return sheet.emit("Transpose", x.name, perm=tuple(order))


def permute(sheet: Sheet, x: Operand, order: Sequence[int]) -> str:
    """The dimensions in another order."""
    return sheet.emit("Transpose", x.name, perm=tuple(axis % rank(x) for axis in order))


def unsqueeze(sheet: Sheet, x: Operand, axis: int) -> str:
    """A dimension of extent 1."""
    return sheet.emit("Unsqueeze", x.name, sheet.integers([axis % (rank(x) + 1)]))


def squeeze(sheet: Sheet, x: Operand, axes: Any) -> str:
    """Without dimensions of extent 1."""
    chosen = [axis for axis in axes_of(x, axes) if x.shape[axis] == 1]
    return sheet.emit("Squeeze", x.name, sheet.integers(chosen)) if chosen else x.name


def slice_(
    sheet: Sheet,
    x: Operand,
    axis: int = 0,
    start: Argument = None,
    end: Argument = None,
    step: int = 1,
) -> str:
    """A range of one dimension."""
    begin, stop = (
        bound.name if isinstance(bound, Operand) else sheet.integers([bound])
        for bound in (start or 0, 2**62 if end is None else end)
    )
    return sheet.emit(
        "Slice", x.name, begin, stop, sheet.integers([axis % rank(x)]), sheet.integers([step])
    )


def select(sheet: Sheet, x: Operand, axis: int, index: int) -> str:
    """One entry of a dimension."""
    return sheet.emit("Gather", x.name, sheet.number(index, np.int64), axis=axis)


def cat(sheet: Sheet, parts: Sequence[Operand], axis: int = 0) -> str:
    """One after the other."""
    return sheet.emit("Concat", *[part.name for part in parts], axis=axis)


def reshape(sheet: Sheet, x: Operand, shape: Sequence[Argument]) -> str:
    """Another shape with the same elements in the same order."""
    return sheet.emit("Reshape", x.name, shape_list(sheet, shape))


def flatten(sheet: Sheet, x: Operand, start: int = 0, end: int = -1) -> str:
    """Dimensions from one to another become one."""
    after = [size_of(sheet, x.name, axis) for axis in range(end % rank(x) + 1, rank(x))]
    kept = sheet.integers([*[0] * (start % rank(x)), -1])
    shape = sheet.emit("Concat", kept, *after, axis=0) if after else kept
    return sheet.emit("Reshape", x.name, shape)


def split(sheet: Sheet, x: Operand, length: int, axis: int = 0) -> tuple[str, ...]:
    """Pieces of one length, and a rest."""
    whole, rest = divmod(extent_of(x, axis), length)
    return split_with_sizes(sheet, x, [length] * whole + [rest] * bool(rest), axis)


def chunk(sheet: Sheet, x: Operand, pieces: int, axis: int = 0) -> tuple[str, ...]:
    """So many pieces, or fewer where that does not come out even."""
    return split(sheet, x, -(-extent_of(x, axis) // pieces), axis)


def split_with_sizes(
    sheet: Sheet, x: Operand, lengths: Sequence[int], axis: int = 0
) -> tuple[str, ...]:
    """Pieces of these lengths."""
    sizes = sheet.integers(lengths)
    return sheet.emit_many("Split", len(lengths), x.name, sizes, axis=axis % rank(x))


def expand(sheet: Sheet, x: Operand, shape: Sequence[Argument]) -> str:
    """Dimensions of extent 1 repeated; -1 keeps a dimension."""
    parts = [
        size.name if isinstance(size, Operand) else sheet.integers([1 if size == -1 else size])
        for size in shape
    ]
    return sheet.emit("Expand", x.name, sheet.emit("Concat", *parts, axis=0))


def stack(sheet: Sheet, parts: Sequence[Operand], axis: int = 0) -> str:
    """One beside the other, along a new dimension."""
    place = axis % (rank(parts[0]) + 1)
    turned = [sheet.emit("Unsqueeze", part.name, sheet.integers([place])) for part in parts]
    return sheet.emit("Concat", *turned, axis=place)


def unbind(sheet: Sheet, x: Operand, axis: int = 0) -> tuple[str, ...]:
    """Every entry of a dimension."""
    return tuple(select(sheet, x, axis % rank(x), i) for i in range(extent_of(x, axis)))


def squeeze_all(sheet: Sheet, x: Operand) -> str:
    """Without all dimensions of extent 1."""
    return squeeze(sheet, x, None)


def repeat(sheet: Sheet, x: Operand, times: Sequence[Argument]) -> str:
    """The whole so many times along each dimension."""
    new = list(range(len(times) - rank(x)))
    y = sheet.emit("Unsqueeze", x.name, sheet.integers(new)) if new else x.name
    return sheet.emit("Tile", y, shape_list(sheet, times))


def like(operator: str) -> Rule:
    """To the shape of another tensor."""

    def rule(sheet: Sheet, x: Operand, other: Operand) -> str:
        return sheet.emit(operator, x.name, sheet.emit("Shape", other.name))

    return rule


def flip(sheet: Sheet, x: Operand, axes: Sequence[int]) -> str:
    """Backwards along some dimensions."""
    chosen = axes_of(x, list(axes))
    ends = ([-1] * len(chosen), [-(2**62)] * len(chosen), chosen, [-1] * len(chosen))
    return sheet.emit("Slice", x.name, *map(sheet.integers, ends))


def roll(sheet: Sheet, x: Operand, shifts: Sequence[int], axes: Sequence[int] = ()) -> str:
    """Moved along some dimensions, what falls off at the end put before the beginning."""
    if not axes:
        raise ValueError("no dims")
    y = x
    for shift, axis in zip(shifts, axes, strict=True):
        if shift:
            parts = [slice_(sheet, y, axis, -shift), slice_(sheet, y, axis, 0, -shift)]
            y = replace(x, name=sheet.emit("Concat", *parts, axis=axis % rank(x)))
    return y.name


def slice_scatter(
    sheet: Sheet,
    x: Operand,
    source: Operand,
    axis: int = 0,
    start: Argument = None,
    end: Argument = None,
    step: int = 1,
) -> str:
    """A range of one dimension replaced."""
    if step != 1:
        return _scattered(sheet, x, source, axis % rank(x), (start or 0, end, step))
    parts = [source.name]
    if start not in (None, 0):
        parts.insert(0, slice_(sheet, x, axis, 0, start))
    if isinstance(end, Operand) or (end is not None and end < LARGEST):
        parts.append(slice_(sheet, x, axis, end))
    if len(parts) == 1:
        return source.name
    return sheet.emit("Concat", *parts, axis=axis % rank(x))


def _scattered(
    sheet: Sheet, x: Operand, source: Operand, axis: int, range: tuple[Argument, Argument, int]
) -> str:
    """The source at the places of the range."""
    extent = sheet.emit("Squeeze", size_of(sheet, x.name, axis), sheet.integers([0]))
    ends = sheet.number(0, np.int64), extent, sheet.number(1, np.int64)
    places = Operand(sheet.emit("Range", *ends), ("?",), torch.int64)
    chosen = slice_(sheet, places, 0, *range)
    line = _along(sheet, chosen, axis, rank(x))
    index = sheet.emit("Expand", line, sheet.emit("Shape", source.name))
    return sheet.emit("ScatterElements", x.name, index, source.name, axis=axis)


def select_scatter(sheet: Sheet, x: Operand, source: Operand, axis: int, index: int) -> str:
    """One entry of a dimension replaced."""
    place = axis % rank(x)
    line = sheet.emit("Unsqueeze", source.name, sheet.integers([place]))
    end = None if index == -1 else index + 1
    shape = (*source.shape[:place], 1, *source.shape[place:])
    return slice_scatter(sheet, x, Operand(line, shape, source.dtype), place, index, end)


def copy(sheet: Sheet, x: Operand, source: Operand, *how: object) -> str:
    """The source in the shape and the dtype of x."""
    assert x.dtype is not None
    return sheet.emit("Expand", tensor(sheet, source, x.dtype), sheet.emit("Shape", x.name))


def meshgrid(sheet: Sheet, lines: Sequence[Operand], indexing: str = "ij") -> tuple[str, ...]:
    """Coordinates of a grid, one tensor for each of its axes."""
    count = len(lines)
    order = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else list(range(count))
    sizes = [sheet.emit("Shape", lines[place].name) for place in order]
    shape = sheet.emit("Concat", *sizes, axis=0)
    return tuple(
        sheet.emit("Expand", _along(sheet, line.name, order.index(i), count), shape)
        for i, line in enumerate(lines)
    )


def _along(sheet: Sheet, line: str, axis: int, count: int) -> str:
    return sheet.emit(
        "Reshape", line, sheet.integers([-1 if i == axis else 1 for i in range(count)])
    )


def unflatten(sheet: Sheet, x: Operand, axis: int, sizes: Sequence[Argument]) -> str:
    """One dimension becomes several."""
    place = axis % rank(x)
    before = [size_of(sheet, x.name, i) for i in range(place)]
    after = [size_of(sheet, x.name, i) for i in range(place + 1, rank(x))]
    shape = sheet.emit("Concat", *before, shape_list(sheet, sizes), *after, axis=0)
    return sheet.emit("Reshape", x.name, shape)


def nothing(sheet: Sheet, x: Operand, *arguments: object, **keywords: object) -> str:
    """The operand itself."""
    return x.name


RULES: Mapping[str, Rule] = {
    "aten.transpose.int": transpose,
    "aten.permute.default": permute,
    "aten.unsqueeze.default": unsqueeze,
    "aten.squeeze.dim": squeeze,
    "aten.squeeze.dims": squeeze,
    "aten.slice.Tensor": slice_,
    "aten.select.int": select,
    "aten.split.Tensor": split,
    "aten.split_with_sizes.default": split_with_sizes,
    "aten.chunk.default": chunk,
    "aten.expand.default": expand,
    "aten.cat.default": cat,
    "aten.concat.default": cat,
    "aten.stack.default": stack,
    "aten.unbind.int": unbind,
    "aten.squeeze.default": squeeze_all,
    "aten.repeat.default": repeat,
    "aten.tile.default": repeat,
    "aten.expand_as.default": like("Expand"),
    "aten.view_as.default": like("Reshape"),
    "aten.flip.default": flip,
    "aten.roll.default": roll,
    "aten.slice_scatter.default": slice_scatter,
    "aten.select_scatter.default": select_scatter,
    "aten.copy.default": copy,
    "aten.meshgrid.indexing": meshgrid,
    "aten.meshgrid.default": meshgrid,
    "aten.unflatten.int": unflatten,
    "aten.view.default": reshape,
    "aten.reshape.default": reshape,
    "aten.flatten.using_ints": flatten,
    "aten.contiguous.default": nothing,
    "aten.clone.default": nothing,
    "aten.dropout.default": nothing,
}
