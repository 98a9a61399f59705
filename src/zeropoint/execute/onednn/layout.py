"""channels_last in any number of dimensions: the channels of an element side by side in memory.

torch has names for it with images (N, C, H, W) and volumes (N, C, D, H, W); of lines (N, C, L) it
is the transpose of (N, L, C).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def channels_last(x: Tensor) -> Tensor:
    """x in channels_last; itself if it is."""
    if x.ndim == 3:
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    return x.contiguous(memory_format=FORMATS.get(x.ndim, torch.contiguous_format))


def is_channels_last(x: Tensor) -> bool:
    """True if the elements lie in channels_last, side by side; of one or two dimensions in rows."""
    if x.ndim == 3:
        return x.transpose(1, 2).is_contiguous()
    return x.is_contiguous(memory_format=FORMATS.get(x.ndim, torch.contiguous_format))


def copy(x: Tensor) -> Tensor:
    """A copy of x in channels_last."""
    y = empty(x.shape, x.dtype)
    y.copy_(x)
    return y


def empty(shape: Sequence[int], dtype: torch.dtype, device: str = "cpu") -> Tensor:
    """A tensor in channels_last with arbitrary contents."""
    if len(shape) == 3:
        batch, channels, length = shape
        return torch.empty((batch, length, channels), dtype=dtype, device=device).transpose(1, 2)
    layout = FORMATS.get(len(shape), torch.contiguous_format)
    return torch.empty(tuple(shape), dtype=dtype, memory_format=layout, device=device)
