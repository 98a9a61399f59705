"""Convolutions that oneDNN gets wrong (torch 2.13), and the way around each.

    defect                                                      instead
    1  a window that sees nothing but padding: read from        an image that is padded beforehand
       memory nobody wrote, or not its own (a crash)
    2  groups with one input and several output channels,       the integer form
       stride (1, s > 1), and a result one column wide
    3  an image smaller than the window, strides above 1:       an error
       a result without pixels

The conformance suite found them; `tests/execute/onednn/test_defects.py` keeps an example of each.
Few convolutions can come near: the others are left as they are.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.ops.conv import Conv2d

Kernel = Callable[..., Any]


def may_see_only_padding(op: Conv2d, kernel: Sequence[int]) -> bool:
    """True if there is an image of which some window of the convolution sees no pixel."""
    windows = zip(kernel, op.stride, op.padding, op.dilation, strict=True)
    return any(_may_miss(*window) for window in windows)


def _may_miss(kernel: int, stride: int, padding: int, dilation: int) -> bool:
    reach = dilation * (kernel - 1) + 1
    # An image at least as long as the dilation fits between no two taps of a window.
    return padding >= reach or any(
        _misses(length, start, kernel, dilation)
        for length in range(1, dilation)
        for start in range(-padding, length + padding - reach + 1, stride)
    )


def _misses(length: int, start: int, kernel: int, dilation: int) -> bool:
    return not any(0 <= start + tap * dilation < length for tap in range(kernel))


def padding_first(kernel: Kernel, padding: tuple[int, int], zero_point: int) -> Kernel:
    """A kernel of a convolution without padding, for one with padding."""
    height, width = padding
    amounts = (width, width, height, height)
    return lambda x, *addend: kernel(F.pad(x, amounts, value=zero_point), *addend)


def may_miscount(op: Conv2d, weight: Sequence[int]) -> bool:
    """True for the groups and strides of defect 2; `weight` is the shape (O, I, kH, kW)."""
    outputs, inputs, *_ = weight
    return op.groups < outputs and inputs == 1 and op.stride[0] == 1 and op.stride[1] > 1


def unless_one_column(kernel: Kernel, exact: Kernel, op: Conv2d, weight: Sequence[int]) -> Kernel:
    """`kernel`, but `exact` for images whose result is one column wide."""
    room = op.dilation[1] * (weight[3] - 1) + 1 - 2 * op.padding[1]

    def chosen(x: Tensor, *addend: Tensor) -> Any:
        return (exact if x.shape[3] - room < op.stride[1] else kernel)(x, *addend)

    return chosen


def not_empty(kernel: Kernel, window: Sequence[int]) -> Kernel:
    """`kernel`, with an error where an image is too small for the window."""

    def checked(x: Tensor, *addend: Tensor) -> Tensor:
        y: Tensor = kernel(x, *addend)
        if y.numel() == 0 and x.numel() > 0:
            raise too_small(x.shape[2:], window)
        return y

    return checked


def too_small(sizes: Sequence[int], window: Sequence[int]) -> EngineError:
    """The error for an image into which no window fits."""
    image, wanted = ("x".join(map(str, pair)) for pair in (sizes, window))
    return EngineError(f"an image of {image} pixels is too small for a window of {wanted}")
