"""Pooling in ONNX, with torch's windows and torch's divisors."""

from dataclasses import replace

import numpy as np
import torch

from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.sheet import Array, Sheet
from zeropoint.export.onnx.sizes import size_of
from zeropoint.graph.value import Shape
from zeropoint.ops.pool import AdaptiveAveragePool, AveragePool, MaxPool


def max_pool(sheet: Sheet, op: MaxPool, x: str, shape: Shape) -> str:
    """MaxPool."""
    return sheet.emit("MaxPool", x, **_windows(op, shape), dilations=op.dilation)


def average_pool(sheet: Sheet, op: AveragePool, x: str, shape: Shape) -> str:
    """AveragePool.

    Where `ceil_mode` lets windows reach beyond the padding, torch does not count what is there, but
    runtimes do if they count the padding: they are asked for the average inside the image, and the
    divisor is put right.
    """
    count_all = op.count_include_pad and not op.ceil_mode
    y = sheet.emit("AveragePool", x, **_windows(op, shape), count_include_pad=int(count_all))
    if not any(op.padding) or count_all == op.count_include_pad:
        return y
    size = _known(shape)
    if size is None:
        raise Refusal("average pooling with ceil_mode and padding, on images of any size")
    ratio = replace(op, count_include_pad=False).divisors(size) / op.divisors(size)
    return sheet.emit("Mul", y, sheet.constant(f"{sheet.hint}.ratio", ratio.float().numpy()))


def _windows(op: MaxPool | AveragePool, shape: Shape) -> dict[str, int | tuple[int, ...]]:
    """The attributes that pools have in common.

    `ceil_mode` becomes padding where the size of the image is known: runtimes disagree about
    windows that begin behind the image.
    """
    common: dict[str, int | tuple[int, ...]] = {"kernel_shape": op.kernel, "strides": op.stride}
    size = _known(shape)
    if size is None or not op.ceil_mode:
        return {**common, "pads": (*op.padding, *op.padding), "ceil_mode": int(op.ceil_mode)}
    steps = op.dilation if isinstance(op, MaxPool) else (1,) * len(size)
    found = op.run(torch.empty(1, 1, *size, device="meta")).shape[2:]
    after = [
        max(0, (count - 1) * stride + step * (kernel - 1) + 1 - extent - before)
        for count, stride, step, kernel, extent, before in zip(
            found, op.stride, steps, op.kernel, size, op.padding, strict=True
        )
    ]
    if any(end >= kernel for end, kernel in zip(after, op.kernel, strict=True)):  # by dilation
        return {**common, "pads": (*op.padding, *op.padding), "ceil_mode": 1}
    return {**common, "pads": (*op.padding, *after)}


def _known(shape: Shape) -> tuple[int, ...] | None:
    known = tuple(size for size in shape[2:] if isinstance(size, int))
    return known if len(known) == len(shape) - 2 else None


def window_sums(sheet: Sheet, op: AdaptiveAveragePool, x: str, shape: Shape) -> tuple[str, str]:
    """The sums over torch's windows, and the number of elements in each.

    They may differ in length: a matrix (windows, length) for each dimension holds 1 where window i
    sees element l, and 0 elsewhere.
    """
    counts, rank = sheet.number(1.0), len(shape)
    for axis, wanted in reversed(list(enumerate(op.size, start=2))):
        if wanted is None:
            continue
        members = _members(sheet, x, shape, axis, wanted)
        x = _times(sheet, x, members, axis, rank)
        number = _row_sums(sheet, members)
        column = sheet.integers([-1, *[1] * (rank - 1 - axis)])
        counts = sheet.emit("Mul", sheet.emit("Reshape", number, column), counts)
    return x, counts


def _times(sheet: Sheet, x: str, rows: str, axis: int, rank: int) -> str:
    """The matrix times x along one dimension; the last two need no transposition."""
    if axis == rank - 1:
        return sheet.emit("MatMul", x, sheet.emit("Transpose", rows, perm=(1, 0)))
    order = list(range(rank))
    order[axis], order[rank - 2] = order[rank - 2], order[axis]
    turn = axis != rank - 2
    last = sheet.emit("Transpose", x, perm=tuple(order)) if turn else x
    y = sheet.emit("MatMul", rows, last)
    return sheet.emit("Transpose", y, perm=tuple(order)) if turn else y


def _row_sums(sheet: Sheet, members: str) -> str:
    return sheet.emit("ReduceSum", members, sheet.integers([1]), keepdims=1)


def _members(sheet: Sheet, x: str, shape: Shape, axis: int, windows: int) -> str:
    """(windows, length): 1 where row i's window [floor(i L / n), ceil((i + 1) L / n)) is."""
    first = np.arange(windows)[:, None]
    length = shape[axis]
    if isinstance(length, int):
        return sheet.constant(f"{sheet.hint}.windows", _matrix(first, length, windows))
    extent, count = size_of(sheet, x, axis), sheet.integers([windows])
    start = sheet.emit("Mul", sheet.constant(f"{sheet.hint}.first", first), extent)
    start = sheet.emit("Div", start, count)
    end = sheet.emit("Mul", sheet.constant(f"{sheet.hint}.next", first + 1), extent)
    end = sheet.emit("Div", sheet.emit("Add", end, sheet.integers([windows - 1])), count)
    zero, one = sheet.number(0, np.int64), sheet.number(1, np.int64)
    stop = sheet.emit("Squeeze", extent, sheet.integers([0]))
    position = sheet.emit("Range", zero, stop, one)
    begun = sheet.emit("Not", sheet.emit("Less", position, start))
    inside = sheet.emit("And", begun, sheet.emit("Less", position, end))
    return sheet.emit("Cast", inside, to=1)


def _matrix(first: Array, length: int, windows: int) -> Array:
    position = np.arange(length)
    begun = position >= first * length // windows
    inside: Array = begun & (position < -(-(first + 1) * length // windows))
    return inside.astype(np.float32)
