"""Convolutions that oneDNN gets wrong (torch 2.13), and the way around each.

    defect                                                      instead
    1  a window that sees nothing but padding: read from        an image that is padded beforehand
       memory nobody wrote, or not its own (a crash)
    2  groups with one input and several output channels; in    the integer form
       two dimensions with a stride of (1, s > 1) and a result
       one column wide
    3  an image smaller than the window, strides above 1:       an error
       a result without pixels
    4  a transposed convolution some of whose results see       a convolution (transposed.py)
       no pixel: read from memory nobody wrote

The conformance suite found them; `tests/execute/onednn/test_defects.py` keeps an example of each.
Which convolutions can come near: `ops/onednn_defects.py`. The others are left as they are.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.ops.conv import Conv
from zeropoint.ops.conv_transpose import ConvTranspose

Kernel = Callable[..., Any]


def padding_first(kernel: Kernel, padding: Sequence[int], zero_point: int) -> Kernel:
    """A kernel of a convolution without padding, for one with padding."""
    amounts = [amount for amount in reversed(padding) for _ in ("before", "after")]
    return lambda x, *addend: kernel(F.pad(x, amounts, value=zero_point), *addend)


def unless_one_column(kernel: Kernel, exact: Kernel, op: Conv, weight: Sequence[int]) -> Kernel:
    """`kernel`, but `exact` for images whose result is one column wide, and for all volumes."""
    if len(op.stride) == 3:
        return exact
    room = op.dilation[1] * (weight[3] - 1) + 1 - 2 * op.padding[1]

    def chosen(x: Tensor, *addend: Tensor) -> Any:
        return (exact if x.shape[3] - room < op.stride[1] else kernel)(x, *addend)

    return chosen


def has_fast_deconvolution(op: ConvTranspose, kernel: Sequence[int]) -> bool:
    """True unless defect 4 threatens, or oneDNN has no kernel for it but its plainest."""
    dense = op.groups == 1 and set(op.dilation) == {1}
    sides = zip(kernel, op.stride, op.padding, op.output_padding, strict=True)
    return dense and all(k >= s and more <= p for k, s, p, more in sides)


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
