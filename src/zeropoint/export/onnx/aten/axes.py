"""Reductions and normalizations along axes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeropoint.export.onnx.aten.arguments import Rule, axes_of, rank
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet

KEEPS_INTEGERS = {
    "DequantizeLinear", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Gather", "Flatten"
}  # fmt: skip
"""Through the others DequantizeLinear is moved."""


def softmax(sheet: Sheet, x: Operand, axis: int, dtype: object = None) -> str:
    """Softmax along one axis."""
    return sheet.emit("Softmax", _kept_real(sheet, x.name), axis=axis)


def _kept_real(sheet: Sheet, x: str) -> str:
    """The same numbers, behind what ONNX Runtime makes no integer kernel through.

    Of a softmax between integers it makes QLinearSoftmax, in which a result beyond the highest code
    begins again at the lowest (onnxruntime 1.31.1).
    """
    writer = next((line for line in reversed(sheet.lines) if x in line.outputs), None)
    if writer is None or writer.operator not in KEEPS_INTEGERS:
        return x
    return sheet.emit("Max", x, sheet.number(float(np.finfo(np.float32).min)))


def log_softmax(sheet: Sheet, x: Operand, axis: int, dtype: object = None) -> str:
    """The logarithm of softmax along one axis."""
    return sheet.emit("LogSoftmax", x.name, axis=axis)


def reduction(operator: str, *, axes_are_operand: int) -> Rule:
    """A reduction; from that opset on its axes are an operand, before it an attribute."""

    def rule(
        sheet: Sheet, x: Operand, axes: Any = None, keepdim: bool = False, dtype: object = None
    ) -> str:
        chosen = axes_of(x, axes)
        if sheet.opset >= axes_are_operand:
            return sheet.emit(operator, x.name, sheet.integers(chosen), keepdims=int(keepdim))
        return sheet.emit(operator, x.name, axes=tuple(chosen), keepdims=int(keepdim))

    return rule


def mean_of(sheet: Sheet, x: str, axes: Sequence[int]) -> str:
    """The mean, its axes kept: written so that every opset has it."""
    total = sheet.emit("ReduceSum", x, sheet.integers(axes), keepdims=1)
    shape = sheet.emit("Gather", sheet.emit("Shape", x), sheet.integers(axes), axis=0)
    count = sheet.emit("ReduceProd", shape, keepdims=0)
    return sheet.emit("Div", total, sheet.emit("Cast", count, to=1))


def layer_norm(
    sheet: Sheet,
    x: Operand,
    shape: Sequence[int],
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
    *cudnn: object,
) -> str:
    """(x - mean) / sqrt(var + eps) weight + bias, over the last dimensions."""
    axes = list(range(rank(x) - len(shape), rank(x)))
    y = normalized(sheet, x, axes, eps)
    factors = [None if operand is None else operand.name for operand in (weight, bias)]
    return affine(sheet, y, *factors)


def group_norm(
    sheet: Sheet,
    x: Operand,
    groups: int,
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
    *cudnn: object,
) -> str:
    """The same over the channels of a group and all pixels."""
    rows = sheet.emit("Reshape", x.name, sheet.integers([0, groups, -1]))
    y = normalized(sheet, Operand(rows, ("N", groups, "?")), [2], eps)
    y = sheet.emit("Reshape", y, sheet.emit("Shape", x.name))
    factors = [
        None if operand is None else column(sheet, operand, rank(x)) for operand in (weight, bias)
    ]
    return affine(sheet, y, *factors)


def column(sheet: Sheet, channels: Operand, rank: int) -> str:
    """A number a channel, to broadcast over pixels."""
    return sheet.emit("Reshape", channels.name, sheet.integers([-1, *[1] * (rank - 2)]))


def normalized(sheet: Sheet, x: Operand, axes: list[int], eps: float) -> str:
    """(x - mean) / sqrt(var + eps)."""
    centred = sheet.emit("Sub", x.name, mean_of(sheet, x.name, axes))
    variance = mean_of(sheet, sheet.emit("Mul", centred, centred), axes)
    deviation = sheet.emit("Sqrt", sheet.emit("Add", variance, sheet.number(eps)))
    return sheet.emit("Div", centred, deviation)


def affine(sheet: Sheet, y: str, weight: str | None, bias: str | None) -> str:
    """Y weight + bias, of which either may be left out."""
    if weight is not None:
        y = sheet.emit("Mul", y, weight)
    return y if bias is None else sheet.emit("Add", y, bias)


mean = reduction("ReduceMean", axes_are_operand=18)

RULES: Mapping[str, Rule] = {
    "aten.mean.dim": mean,
    "aten.softmax.int": softmax,
    "aten._softmax.default": softmax,
    "aten.log_softmax.int": log_softmax,
    "aten._log_softmax.default": log_softmax,
    "aten.sum.dim_IntList": reduction("ReduceSum", axes_are_operand=13),
    "aten.amax.default": reduction("ReduceMax", axes_are_operand=18),
    "aten.amin.default": reduction("ReduceMin", axes_are_operand=18),
    "aten.layer_norm.default": layer_norm,
    "aten.group_norm.default": group_norm,
}
