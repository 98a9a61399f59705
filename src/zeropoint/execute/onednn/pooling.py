"""Max pooling of uint8 images in channels_last.

torch's max_pool2d refuses wide uint8 images, and its quantized one is slow. The greatest element
of a window is the greatest of shifted, strided views, along one dimension after the other.
"""

from functools import lru_cache

import torch
from torch import Tensor

from zeropoint.execute.onednn.layout import copy
from zeropoint.ops.pool import MaxPool

Slice = tuple[int, int, int]
"""Windows first .. first + count - 1 meet the input at `start`, `start + stride`, ..."""


def max_pool(x: Tensor, op: MaxPool) -> Tensor:
    """The integer form of a max pool, exactly."""
    windows = zip(x.shape[2:], op.kernel, op.stride, op.padding, op.dilation, strict=True)
    slices = [_slices(*window, op.ceil_mode) for window in windows]
    if not all(slices):
        return op.run(x.to(torch.float32)).clamp_(min=0).to(torch.uint8)  # -inf: only padding
    for axis, (found, stride) in enumerate(zip(slices, op.stride, strict=True), start=2):
        x = _greatest(x, axis, found, stride)
    return x


def _greatest(x: Tensor, axis: int, slices: tuple[Slice, ...], stride: int) -> Tensor:
    (_, count, start), *others = slices
    base = _strided(x, axis, start, stride, count)
    if others and others[0][1] == count:
        pooled = torch.maximum(base, _strided(x, axis, others.pop(0)[2], stride, count))
    else:
        pooled = copy(base)
    for first, some, start in others:
        target = pooled.narrow(axis, first, some)
        torch.maximum(target, _strided(x, axis, start, stride, some), out=target)
    return pooled


def _strided(x: Tensor, axis: int, start: int, stride: int, count: int) -> Tensor:
    stop = start + (count - 1) * stride + 1
    return x[(*[slice(None)] * axis, slice(start, stop, stride))]


@lru_cache(maxsize=1024)
def _slices(
    length: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> tuple[Slice, ...]:
    """One slice for each tap of the window, those that meet every window first.

    Empty if no tap meets every window inside the image: then somebody else must pool.
    """
    windows = _windows(length, kernel, stride, padding, dilation, ceil_mode)
    slices: list[Slice] = []
    for tap in range(kernel):
        shift = tap * dilation - padding
        first = max(0, -(shift // stride))
        last = min(windows - 1, (length - 1 - shift) // stride)
        if last >= first:
            slices.append((first, last - first + 1, first * stride + shift))
    slices.sort(key=lambda item: -item[1])
    return tuple(slices) if slices and slices[0][1] == windows else ()


def _windows(
    length: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    room = length + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    windows = -(-room // stride) + 1
    # torch drops a last window that would begin in the padding.
    return windows - ((windows - 1) * stride >= length + padding)
