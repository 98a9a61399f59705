"""Quantize, dequantize, requantize, add and average on uint8 tensors, as fast as eager torch goes.

torch has vectorized kernels for these on its quantized dtypes; wrapping a uint8 tensor in one is a
copy in memory and nothing else.
"""

import numpy as np
import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams

Affine = tuple[float, int]
"""Scale and zero point."""

_wrap = torch._make_per_tensor_quantized_tensor


def quantize(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """clamp(round(x / s) + z, 0, 255) as uint8."""
    return torch.quantize_per_tensor(x, scale, zero_point, torch.quint8).int_repr()


def dequantize(q: Tensor, scale: float, zero_point: int) -> Tensor:
    """s (q - z) as float32."""
    return _wrap(q, scale, zero_point).dequantize()


def requantize(q: Tensor, old: Affine, new: Affine) -> Tensor:
    """The same real numbers on another 8-bit grid, exactly as the reference rounds them.

    Measured in steps of the new grid, M (q - z) is one float32 product, and round_() leaves no tie
    to torch, which rounds after adding the zero point.
    """
    (old_scale, old_zero), (new_scale, new_zero) = old, new
    steps = _wrap(q, old_scale / new_scale, old_zero).dequantize().round_()
    return torch.quantize_per_tensor(steps, 1.0, new_zero, torch.quint8).int_repr()


def add(a: Tensor, b: Tensor, a_grid: Affine, b_grid: Affine, grid: Affine) -> Tensor:
    """The sum of two tensors on another 8-bit grid; their shapes broadcast."""
    a, b = _of_one_shape(a, b)
    total: Tensor = torch.ops.quantized.add(_wrap(a, *a_grid), _wrap(b, *b_grid), *grid)
    return total.int_repr()


def multiply(a: Tensor, b: Tensor, a_grid: Affine, b_grid: Affine, grid: Affine) -> Tensor:
    """The product of two tensors on another 8-bit grid; their shapes broadcast."""
    a, b = _of_one_shape(a, b)
    (a_scale, a_zero), (b_scale, b_zero), (scale, zero) = a_grid, b_grid, grid
    step = reciprocal(a_scale * b_scale / scale)
    if step is not None:  # the product of the integers is exact, and rounded once
        a_scale, b_scale, scale = 1.0, 1.0, step
    factors = _wrap(a, a_scale, a_zero), _wrap(b, b_scale, b_zero)
    product: Tensor = torch.ops.quantized.mul(*factors, scale, zero)
    return product.int_repr()


def reciprocal(multiplier: float) -> float | None:
    """The float32 whose float32 reciprocal is the multiplier, as float32; None if there is none."""
    wanted, one = np.float32(multiplier), np.float32(1)
    near = one / wanted
    below, above = np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf))
    return next((float(x) for x in (near, below, above) if one / x == wanted), None)


def _of_one_shape(a: Tensor, b: Tensor) -> list[Tensor]:
    """Operands that are as large as their result: torch's kernels are fast on no others."""
    if a.shape == b.shape:
        return [a, b]
    shape: torch.Size = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]  # torch has no types
    layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    return [x.expand(shape).contiguous(memory_format=layout) for x in (a, b)]


def requantize_sum(total: Tensor, multiplier: Tensor, out: QParams) -> Tensor:
    """clamp(round(M total) + z) as uint8, in float32 like the reference: equation (3)."""
    zero_point = int(out.zero_point.item())
    steps = (total * multiplier).round_()
    return (
        steps.clamp_(out.low - zero_point, out.high - zero_point).add_(zero_point).to(torch.uint8)
    )
