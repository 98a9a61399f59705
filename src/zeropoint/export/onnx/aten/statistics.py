"""Moments, orders and extremes along axes, and the normalizations made of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from zeropoint.export.onnx.aten.arguments import (
    Argument,
    Rule,
    axes_of,
    cast,
    dtype_of,
    extent_of,
    rank,
    tensor,
)
from zeropoint.export.onnx.aten.axes import affine, column, mean_of, normalized
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet


def variance(*, rooted: bool) -> Rule:
    """The variance, or its root; `correction` is taken off the count."""

    def rule(
        sheet: Sheet,
        x: Operand,
        axes: Any = None,
        *,
        correction: float | None = None,
        keepdim: bool = False,
    ) -> str:
        return _spread(sheet, x, axes, 1.0 if correction is None else correction, keepdim, rooted)

    return rule


def unbiased(*, rooted: bool) -> Rule:
    """The same with the correction as a truth value: (x), (x, unbiased) or (x, axes, unbiased)."""

    def rule(sheet: Sheet, x: Operand, *arguments: Any, **more: Any) -> str:
        axes: Any = None
        if arguments and not isinstance(arguments[0], bool):
            axes, *arguments = arguments  # type: ignore[assignment]
        corrected = arguments[0] if arguments else more.get("unbiased", True)
        keep = arguments[1] if len(arguments) > 1 else more.get("keepdim", False)
        return _spread(sheet, x, axes, float(corrected), bool(keep), rooted)

    return rule


def _spread(
    sheet: Sheet, x: Operand, axes: Any, correction: float, keep: bool, rooted: bool
) -> str:
    chosen = axes_of(x, axes)
    centred = sheet.emit("Sub", x.name, mean_of(sheet, x.name, chosen))
    total = sheet.emit(
        "ReduceSum", sheet.emit("Mul", centred, centred), sheet.integers(chosen), keepdims=int(keep)
    )
    extents = sheet.emit("Gather", sheet.emit("Shape", x.name), sheet.integers(chosen), axis=0)
    count = cast(sheet, sheet.emit("ReduceProd", extents, keepdims=0), torch.float32)
    result = sheet.emit("Div", total, sheet.emit("Sub", count, sheet.number(correction)))
    return sheet.emit("Sqrt", result) if rooted else result


def norm(
    sheet: Sheet, x: Operand, order: float = 2, axes: Any = None, keepdim: bool = False, **how: Any
) -> str:
    """The root of the sum of squares, or the sum of absolute values."""
    if order not in (1, 2):
        raise ValueError(f"ord={order}")
    chosen, keep = sheet.integers(axes_of(x, axes)), int(keepdim)
    parts = sheet.emit("Abs", x.name) if order == 1 else sheet.emit("Mul", x.name, x.name)
    total = sheet.emit("ReduceSum", parts, chosen, keepdims=keep)
    return total if order == 1 else sheet.emit("Sqrt", total)


def instance_norm(
    sheet: Sheet,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    mean: Operand | None,
    var: Operand | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    *cudnn: object,
) -> str:
    """(x - mean) / sqrt(var + eps) weight + bias, over the pixels of each image."""
    if not use_input_stats:
        return batch_norm(sheet, x, weight, bias, mean, var, False, momentum, eps)
    y = normalized(sheet, x, list(range(2, rank(x))), eps)
    columns = [None if z is None else column(sheet, z, rank(x)) for z in (weight, bias)]
    return affine(sheet, y, *columns)


def batch_norm(
    sheet: Sheet,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    mean: Operand | None,
    var: Operand | None,
    training: bool,
    momentum: float,
    eps: float,
    *cudnn: object,
) -> str:
    """The same with known means and variances of the channels."""
    if training or mean is None or var is None:
        raise ValueError("statistics of the batch")
    middle, spread = column(sheet, mean, rank(x)), column(sheet, var, rank(x))
    deviation = sheet.emit("Sqrt", sheet.emit("Add", spread, sheet.number(eps)))
    y = sheet.emit("Div", sheet.emit("Sub", x.name, middle), deviation)
    columns = [None if z is None else column(sheet, z, rank(x)) for z in (weight, bias)]
    return affine(sheet, y, *columns)


def rms_norm(
    sheet: Sheet,
    x: Operand,
    shape: Sequence[int],
    weight: Operand | None = None,
    eps: float | None = None,
) -> str:
    """X / sqrt(mean of x squared + eps) weight, over the last dimensions."""
    axes = list(range(rank(x) - len(shape), rank(x)))
    squares = mean_of(sheet, sheet.emit("Mul", x.name, x.name), axes)
    least = sheet.number(torch.finfo(torch.float32).eps if eps is None else eps)
    y = sheet.emit("Div", x.name, sheet.emit("Sqrt", sheet.emit("Add", squares, least)))
    return affine(sheet, y, None if weight is None else weight.name, None)


def topk(
    sheet: Sheet,
    x: Operand,
    count: Argument,
    axis: int = -1,
    largest: bool = True,
    sorted: bool = True,
) -> tuple[str, ...]:
    """The largest, or smallest, and where they are."""
    several = count.name if isinstance(count, Operand) else sheet.integers([count])
    return sheet.emit_many(
        "TopK", 2, x.name, several, axis=axis % rank(x), largest=int(largest), sorted=1
    )


def sort(sheet: Sheet, x: Operand, axis: int = -1, descending: bool = False) -> tuple[str, ...]:
    """All in order, and where they were."""
    extent = sheet.emit("Gather", sheet.emit("Shape", x.name), sheet.integers([axis]), axis=0)
    return sheet.emit_many("TopK", 2, x.name, extent, axis=axis % rank(x), largest=int(descending))


def place(operator: str) -> Rule:
    """Where the largest or smallest is, the first of several; of everything without an axis."""

    def rule(sheet: Sheet, x: Operand, axis: int | None = None, keepdim: bool = False) -> str:
        if axis is None:
            flat = sheet.emit("Reshape", x.name, sheet.integers([-1]))
            return sheet.emit(operator, flat, axis=0, keepdims=0)
        return sheet.emit(operator, x.name, axis=axis % rank(x), keepdims=int(keepdim))

    return rule


def extreme(places: str) -> Rule:
    """The largest or smallest along an axis, and where it is."""

    def rule(sheet: Sheet, x: Operand, axis: int, keepdim: bool = False) -> tuple[str, ...]:
        along, keep = axis % rank(x), int(keepdim)
        where = sheet.emit(places, x.name, axis=along, keepdims=1)
        what = sheet.emit("GatherElements", x.name, where, axis=along)
        if keep:
            return what, where
        dropped = sheet.integers([along])
        return sheet.emit("Squeeze", what, dropped), sheet.emit("Squeeze", where, dropped)

    return rule


def over_all(operator: str) -> Rule:
    """A reduction of everything to one number."""

    def rule(sheet: Sheet, x: Operand, *, dtype: Argument = None) -> str:
        flat = tensor(sheet, x, dtype_of(dtype, _summed_in(x, operator)))
        return sheet.emit(operator, sheet.emit("Reshape", flat, sheet.integers([-1])), keepdims=0)

    return rule


def _summed_in(x: Operand, operator: str) -> torch.dtype:
    assert x.dtype is not None
    counted = operator in ("ReduceSum", "ReduceProd") and not x.dtype.is_floating_point
    return torch.int64 if counted else x.dtype


def holds(operator: str) -> Rule:
    """True if any is, or all are, not zero: of everything, or along axes."""

    def rule(sheet: Sheet, x: Operand, axes: Any = None, keepdim: bool = False) -> str:
        numbers = cast(sheet, tensor(sheet, x, torch.bool), torch.float32)
        for axis in reversed(axes_of(x, axes)):
            place = sheet.emit(operator, numbers, axis=axis, keepdims=1)
            numbers = sheet.emit("GatherElements", numbers, place, axis=axis)
        if not keepdim:
            numbers = sheet.emit("Squeeze", numbers, sheet.integers(axes_of(x, axes)))
        return cast(sheet, numbers, torch.bool)

    return rule


def cumsum(sheet: Sheet, x: Operand, axis: int, dtype: Argument = None, **how: Any) -> str:
    """Sums of everything up to here."""
    chosen = tensor(sheet, x, dtype_of(dtype, _summed_in(x, "ReduceSum")))
    return sheet.emit("CumSum", chosen, sheet.number(axis % rank(x), np.int64))


def logsumexp(sheet: Sheet, x: Operand, axes: Any, keepdim: bool = False) -> str:
    """The logarithm of the sum of exp."""
    chosen = axes_of(x, axes)
    top = x.name
    for axis in chosen:
        place = sheet.emit("ArgMax", top, axis=axis, keepdims=1)
        top = sheet.emit("GatherElements", top, place, axis=axis)
    parts = sheet.emit("Exp", sheet.emit("Sub", x.name, top))
    total = sheet.emit("ReduceSum", parts, sheet.integers(chosen), keepdims=1)
    y = sheet.emit("Add", sheet.emit("Log", total), top)
    return y if keepdim else sheet.emit("Squeeze", y, sheet.integers(chosen))


def adaptive_max_pool(dimensions: int) -> Rule:
    """The largest of windows, where they divide the image; where it is, is not told."""

    def rule(sheet: Sheet, x: Operand, size: Any) -> str:
        wanted = [size] * dimensions if isinstance(size, int) else list(size)
        if wanted == [1] * dimensions:
            return sheet.emit("GlobalMaxPool", x.name)
        extents = [extent_of(x, axis) for axis in range(2, 2 + dimensions)]
        if any(extent % n for extent, n in zip(extents, wanted, strict=True)):
            raise ValueError(f"output_size={wanted}, which does not divide {extents}")
        windows = tuple(extent // n for extent, n in zip(extents, wanted, strict=True))
        return sheet.emit("MaxPool", x.name, kernel_shape=windows, strides=windows)

    return rule


RULES: Mapping[str, Rule] = {
    "aten.var.correction": variance(rooted=False),
    "aten.std.correction": variance(rooted=True),
    "aten.var.dim": unbiased(rooted=False),
    "aten.std.dim": unbiased(rooted=True),
    "aten.var.default": unbiased(rooted=False),
    "aten.std.default": unbiased(rooted=True),
    "aten.linalg_vector_norm.default": norm,
    "aten.norm.ScalarOpt_dim": norm,
    "aten.instance_norm.default": instance_norm,
    "aten.batch_norm.default": batch_norm,
    "aten.rms_norm.default": rms_norm,
    "aten.topk.default": topk,
    "aten.sort.default": sort,
    "aten.argmax.default": place("ArgMax"),
    "aten.argmin.default": place("ArgMin"),
    "aten.max.dim": extreme("ArgMax"),
    "aten.min.dim": extreme("ArgMin"),
    "aten.mean.default": over_all("ReduceMean"),
    "aten.sum.default": over_all("ReduceSum"),
    "aten.max.default": over_all("ReduceMax"),
    "aten.min.default": over_all("ReduceMin"),
    "aten.prod.default": over_all("ReduceProd"),
    "aten.any.default": holds("ArgMax"),
    "aten.any.dim": holds("ArgMax"),
    "aten.all.default": holds("ArgMin"),
    "aten.all.dim": holds("ArgMin"),
    "aten.cumsum.default": cumsum,
    "aten.logsumexp.default": logsumexp,
    "aten.adaptive_max_pool1d.default": adaptive_max_pool(1),
    "aten.adaptive_max_pool2d.default": adaptive_max_pool(2),
    "aten.adaptive_max_pool3d.default": adaptive_max_pool(3),
}
