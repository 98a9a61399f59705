"""What moves elements only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeropoint.export.onnx.aten.arguments import Argument, Rule, axes_of, extent_of, rank
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet


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
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> str:
    """A range of one dimension."""
    bounds = [start or 0, 2**62 if end is None else end]
    if not all(isinstance(bound, int) for bound in bounds):
        raise ValueError("bounds that are known at run time only")
    begin, stop = (sheet.integers([bound]) for bound in bounds)
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
    if all(isinstance(size, int) for size in shape):
        return sheet.emit("Reshape", x.name, sheet.integers(shape))
    parts = [s.name if isinstance(s, Operand) else sheet.integers([s]) for s in shape]
    return sheet.emit("Reshape", x.name, sheet.emit("Concat", *parts, axis=0))


def flatten(sheet: Sheet, x: Operand, start: int = 0, end: int = -1) -> str:
    """All dimensions from one on become one."""
    if end % rank(x) != rank(x) - 1:
        raise ValueError(f"end_dim={end}")
    return sheet.emit("Reshape", x.name, sheet.integers([*[0] * (start % rank(x)), -1]))


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
    "aten.view.default": reshape,
    "aten.reshape.default": reshape,
    "aten.flatten.using_ints": flatten,
    "aten.contiguous.default": nothing,
    "aten.clone.default": nothing,
    "aten.dropout.default": nothing,
}
