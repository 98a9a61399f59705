"""Quantize, dequantize, requantize, add and average on uint8 tensors, as fast as eager torch goes.

torch has vectorized kernels for these on its quantized dtypes; wrapping a uint8 tensor in one is a copy in
memory and nothing else.
"""

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams

_wrap = torch._make_per_tensor_quantized_tensor


def quantize(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """clamp(round(x / s) + z, 0, 255) as uint8; images come out channels_last."""
    q = torch.quantize_per_tensor(x, scale, zero_point, torch.quint8).int_repr()
    return q.contiguous(memory_format=torch.channels_last) if q.ndim == 4 else q


def dequantize(q: Tensor, scale: float, zero_point: int) -> Tensor:
    """s (q - z) as float32."""
    return _wrap(q, scale, zero_point).dequantize()


def requantize(q: Tensor, old: tuple[float, int], new: tuple[float, int]) -> Tensor:
    """The same real numbers on another 8-bit grid."""
    real = _wrap(q, *old).dequantize()
    return torch.quantize_per_tensor(real, *new, torch.quint8).int_repr()


def add(
    a: Tensor, b: Tensor, a_grid: tuple[float, int], b_grid: tuple[float, int], grid: tuple[float, int]
) -> Tensor:
    """The sum of two tensors of one shape on another 8-bit grid."""
    return torch.ops.quantized.add(_wrap(a, *a_grid), _wrap(b, *b_grid), *grid).int_repr()


def scale_and_shift(total: Tensor, multiplier: Tensor | float, out: QParams, zero: int) -> Tensor:
    """clamp(round(M total) + z) as uint8, in float32 like the reference: equation (3)."""
    steps = (total * multiplier).round_()
    return steps.clamp_(out.low - zero, out.high - zero).add_(zero).to(torch.uint8)
