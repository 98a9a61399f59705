"""Convolutions that oneDNN gets wrong (torch 2.13, openvino 2026.4), whoever calls it.

1  a window that sees nothing but padding: read from memory nobody wrote, or not its own
2  one input channel in each group and several outputs: in two dimensions with a stride of
   (1, s > 1) and a result one column wide, in three whatever they are
"""

from collections.abc import Sequence

from zeropoint.ops.conv import Conv


def may_see_only_padding(op: Conv, kernel: Sequence[int]) -> bool:
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


def may_miscount(op: Conv, weight: Sequence[int]) -> bool:
    """True for the groups and strides of defect 2; `weight` is the shape (O, I, ...)."""
    outputs, inputs, *_ = weight
    flat = len(op.stride) == 2 and op.stride[0] == 1 and op.stride[1] > 1
    return op.groups < outputs and inputs == 1 and (flat or len(op.stride) == 3)
