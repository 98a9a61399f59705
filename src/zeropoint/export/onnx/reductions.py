"""Means, sums, interpolations and windows of uneven length in ONNX, on real numbers."""

from collections.abc import Sequence

import numpy as np
import torch

from zeropoint.export.onnx.movement import AXES_ARE_OPERAND, resized
from zeropoint.export.onnx.sheet import Array, Sheet
from zeropoint.export.onnx.sizes import size_of
from zeropoint.graph.value import Shape
from zeropoint.ops.pool import AdaptiveMaxPool
from zeropoint.ops.reduce import Mean, Sum
from zeropoint.ops.upsample import Interpolate


def mean(sheet: Sheet, op: Mean, x: str) -> str:
    """ReduceMean."""
    if sheet.opset >= AXES_ARE_OPERAND:
        return sheet.emit("ReduceMean", x, sheet.integers(op.axes), keepdims=int(op.keep))
    return sheet.emit("ReduceMean", x, axes=op.axes, keepdims=int(op.keep))


def sum_(sheet: Sheet, op: Sum, x: str) -> str:
    """ReduceSum, whose axes have always been an operand."""
    return sheet.emit("ReduceSum", x, sheet.integers(op.axes), keepdims=int(op.keep))


def interpolated(sheet: Sheet, op: Interpolate, x: str, sizes: Sequence[str]) -> str:
    """Resize."""
    corners = "align_corners" if op.align_corners else "half_pixel"
    how = {"mode": "linear", "coordinate_transformation_mode": corners}
    return resized(sheet, x, op.factors, op.size, sizes, how)


def adaptive_max(sheet: Sheet, op: AdaptiveMaxPool, x: str, shape: Shape) -> str:
    """The greatest of the elements of each window, one dimension after the other.

    Windows differ in length by one: the shorter ones name their last element twice.
    """
    for axis, wanted in enumerate(op.size, start=2):
        length = shape[axis]
        if wanted is None or wanted == length:
            continue
        if not isinstance(length, int):
            x = _maxima(sheet, x, axis, wanted)
            continue
        members = sheet.constant(f"{sheet.hint}.windows", _members(length, wanted))
        windows = sheet.emit("Gather", x, members, axis=axis)  # (..., wanted, longest, ...)
        x = _maximum(sheet, windows, axis + 1, keep=False)
    return x


def _maximum(sheet: Sheet, x: str, axis: int, *, keep: bool) -> str:
    if sheet.opset >= AXES_ARE_OPERAND:
        return sheet.emit("ReduceMax", x, sheet.integers([axis]), keepdims=int(keep))
    return sheet.emit("ReduceMax", x, axes=(axis,), keepdims=int(keep))


def _maxima(sheet: Sheet, x: str, axis: int, windows: int) -> str:
    """Of an axis whose length only the run knows: window by window."""
    length, count = size_of(sheet, x, axis), sheet.integers([windows])
    parts = []
    for index in range(windows):
        start = _quotient(sheet, length, index, 0, count)
        stop = _quotient(sheet, length, index + 1, windows - 1, count)  # rounded up
        window = sheet.emit("Slice", x, start, stop, sheet.integers([axis]))
        parts.append(_maximum(sheet, window, axis, keep=True))
    return parts[0] if windows == 1 else sheet.emit("Concat", *parts, axis=axis)


def _quotient(sheet: Sheet, length: str, factor: int, more: int, count: str) -> str:
    product = sheet.emit("Mul", length, sheet.integers([factor]))
    return sheet.emit("Div", sheet.emit("Add", product, sheet.integers([more])), count)


def _members(length: int, windows: int) -> Array:
    start = [index * length // windows for index in range(windows)]
    last = [-(-(index + 1) * length // windows) - 1 for index in range(windows)]
    longest = max(end - begin for begin, end in zip(start, last, strict=True)) + 1
    rows = torch.tensor(start)[:, None] + torch.arange(longest)
    members: Array = torch.minimum(rows, torch.tensor(last)[:, None]).numpy().astype(np.int64)
    return members
