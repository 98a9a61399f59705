"""Tensors out of numbers and sizes."""

from collections.abc import Mapping, Sequence

import torch

from zeropoint.export.onnx.aten.arguments import (
    Argument,
    Rule,
    cast,
    common,
    dtype_of,
    shape_list,
    tensor,
)
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet

How = object


def arange(sheet: Sheet, *ends: Argument, dtype: Argument = None, **how: How) -> str:
    """Numbers at equal distances: (end), (start, end) or (start, end, step)."""
    start, end, step = (0, *ends, 1) if len(ends) == 1 else (*ends, 1)[:3]
    counted = torch.int64 if common(start, end, step) is torch.int64 else torch.float32
    numbers = sheet.emit("Range", *(tensor(sheet, item, counted) for item in (start, end, step)))
    wanted = dtype_of(dtype, counted)
    return numbers if wanted is counted else cast(sheet, numbers, wanted)


def _filled(sheet: Sheet, size: str, value: Argument, dtype: torch.dtype) -> str:
    return sheet.emit("Expand", tensor(sheet, value, dtype), size)


def full(
    sheet: Sheet, shape: Sequence[Argument], value: Argument, dtype: Argument = None, **how: How
) -> str:
    """A number everywhere."""
    usual = common(value, value)
    return _filled(sheet, shape_list(sheet, shape), value, dtype_of(dtype, usual))


def made_of(value: float) -> Rule:
    """Zeros, or ones."""

    def rule(
        sheet: Sheet, shape: Sequence[Argument], dtype: Argument = None, *more: How, **how: How
    ) -> str:
        return _filled(sheet, shape_list(sheet, shape), value, dtype_of(dtype))

    return rule


def full_like(sheet: Sheet, x: Operand, value: Argument, dtype: Argument = None, **how: How) -> str:
    """A number everywhere, in the shape of x."""
    wanted = dtype_of(dtype, x.dtype or torch.int64)
    return _filled(sheet, sheet.emit("Shape", x.name), value, wanted)


def like(value: float) -> Rule:
    """Zeros or ones in the shape of x."""

    def rule(sheet: Sheet, x: Operand, dtype: Argument = None, *more: How, **how: How) -> str:
        return full_like(sheet, x, value, dtype)

    return rule


def new_full(
    sheet: Sheet,
    x: Operand,
    shape: Sequence[Argument],
    value: Argument,
    dtype: Argument = None,
    **how: How,
) -> str:
    """A number everywhere, elements of x's kind."""
    wanted = dtype_of(dtype, x.dtype or torch.int64)
    return _filled(sheet, shape_list(sheet, shape), value, wanted)


def new(value: float) -> Rule:
    """Zeros or ones of x's kind."""

    def rule(
        sheet: Sheet, x: Operand, shape: Sequence[Argument], dtype: Argument = None, **how: How
    ) -> str:
        return new_full(sheet, x, shape, value, dtype)

    return rule


def scalar(sheet: Sheet, value: Argument, dtype: Argument = None, **how: How) -> str:
    """A number as a tensor."""
    return sheet.emit("Identity", tensor(sheet, value, dtype_of(dtype, common(value, value))))


RULES: Mapping[str, Rule] = {
    "aten.arange.default": arange,
    "aten.arange.start": arange,
    "aten.arange.start_step": arange,
    "aten.full.default": full,
    "aten.zeros.default": made_of(0.0),
    "aten.ones.default": made_of(1.0),
    "aten.empty.memory_format": made_of(0.0),  # whatever it holds is overwritten, or not read
    "aten.full_like.default": full_like,
    "aten.zeros_like.default": like(0.0),
    "aten.ones_like.default": like(1.0),
    "aten.empty_like.default": like(0.0),
    "aten.new_full.default": new_full,
    "aten.new_zeros.default": new(0.0),
    "aten.new_ones.default": new(1.0),
    "aten.new_empty.default": new(0.0),
    "aten.scalar_tensor.default": scalar,
}
