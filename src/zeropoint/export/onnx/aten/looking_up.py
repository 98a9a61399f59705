"""What looks elements up by indices, or puts them there."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from zeropoint.export.onnx.aten.arguments import Rule, extent_of, rank, tensor
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet


def gather(sheet: Sheet, x: Operand, axis: int, index: Operand, sparse_grad: bool = False) -> str:
    """The elements at the places along one axis that `index` says."""
    return sheet.emit("GatherElements", x.name, index.name, axis=axis % rank(x))


def index_select(sheet: Sheet, x: Operand, axis: int, index: Operand) -> str:
    """Some rows of an axis."""
    return sheet.emit("Gather", x.name, index.name, axis=axis % rank(x))


def embedding(sheet: Sheet, weight: Operand, index: Operand, *how: object) -> str:
    """A row of the weight for each index."""
    return sheet.emit("Gather", weight.name, index.name, axis=0)


def index(sheet: Sheet, x: Operand, indices: Sequence[Operand | None]) -> str:
    """x[..., index, ...] with tensors of indices."""
    given = [(axis, item) for axis, item in enumerate(indices) if item is not None]
    if any(item.dtype in (torch.bool, torch.uint8) for _, item in given):
        raise ValueError("a mask")
    if len(given) == 1:
        ((axis, where),) = given
        return sheet.emit("Gather", x.name, tensor(sheet, where, torch.int64), axis=axis)
    return _index_several(sheet, x, dict(given))


def _index_several(sheet: Sheet, x: Operand, given: Mapping[int, Operand]) -> str:
    """What they look up stands where they stood, or first if they stood apart."""
    axes = list(given)
    others = [axis for axis in range(rank(x)) if axis not in given]
    front = sheet.emit("Transpose", x.name, perm=(*axes, *others))
    found = sheet.emit("GatherND", front, _joined(sheet, list(given.values())))
    first, apart = axes[0], axes != list(range(axes[0], axes[0] + len(axes)))
    if first == 0 or apart:
        return found
    new = max(rank(item) for item in given.values())
    order = (*range(new, new + first), *range(new), *range(new + first, new + len(others)))
    return sheet.emit("Transpose", found, perm=order)


def _joined(sheet: Sheet, indices: Sequence[Operand]) -> str:
    names = [tensor(sheet, item, torch.int64) for item in indices]
    together = names[0]
    for name in names[1:]:
        together = sheet.emit("Add", together, name)
    shape, last = sheet.emit("Shape", together), sheet.integers([-1])
    columns = [sheet.emit("Unsqueeze", sheet.emit("Expand", name, shape), last) for name in names]
    return sheet.emit("Concat", *columns, axis=-1)


def scatter(sheet: Sheet, x: Operand, axis: int, index: Operand, source: Operand) -> str:
    """The source's elements in the places along one axis that `index` says."""
    return sheet.emit("ScatterElements", x.name, index.name, source.name, axis=axis % rank(x))


def grid_sampler(
    sheet: Sheet, x: Operand, grid: Operand, mode: int, padding: int, align_corners: bool
) -> str:
    """The image at places that are not pixels; since opset 16."""
    if sheet.opset < 16 or mode == 2:
        raise ValueError("bicubic, or an opset before 16")
    return sheet.emit(
        "GridSample",
        x.name,
        grid.name,
        mode=(("bilinear", "nearest") if sheet.opset < 20 else ("linear", "nearest"))[mode],
        padding_mode=("zeros", "border", "reflection")[padding],
        align_corners=int(align_corners),
    )


def triangle(*, upper: bool) -> Rule:
    """The triangle above or below a diagonal; zeros elsewhere."""

    def rule(sheet: Sheet, x: Operand, diagonal: int = 0) -> str:
        down, across = (
            sheet.constant("places", torch.arange(extent_of(x, axis)).numpy()) for axis in (-2, -1)
        )
        rows = sheet.emit("Unsqueeze", down, sheet.integers([1]))
        moved = sheet.emit("Add", rows, sheet.number(diagonal, np.int64))
        operator = "GreaterOrEqual" if upper else "LessOrEqual"
        kept = sheet.emit(operator, across, moved)
        assert x.dtype is not None
        return sheet.emit("Where", kept, x.name, tensor(sheet, 0, x.dtype))

    return rule


RULES: Mapping[str, Rule] = {
    "aten.gather.default": gather,
    "aten.index_select.default": index_select,
    "aten.embedding.default": embedding,
    "aten.index.Tensor": index,
    "aten.scatter.src": scatter,
    "aten.grid_sampler.default": grid_sampler,
    "aten.grid_sampler_2d.default": grid_sampler,
    "aten.triu.default": triangle(upper=True),
    "aten.tril.default": triangle(upper=False),
}
