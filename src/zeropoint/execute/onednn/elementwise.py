"""Quantize, dequantize, requantize, add and average on uint8 tensors, as fast as eager torch goes.

torch has vectorized kernels for these on its quantized dtypes. A uint8 tensor is seen as one, and
one as a uint8 tensor, without a copy: they are the same bytes.
"""

import numpy as np
import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams

Affine = tuple[float, int]
"""Scale and zero point."""

SMALL = 1 << 14
"""Fewer elements are copied faster than another tensor is laid over the same memory."""


def _wrap(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """uint8 codes as torch's quantized dtype."""
    if x.numel() < SMALL:
        return torch._make_per_tensor_quantized_tensor(x, scale, zero_point)
    empty = torch._empty_affine_quantized(
        [0], scale=scale, zero_point=zero_point, dtype=torch.quint8
    )
    return empty.set_(x.untyped_storage(), x.storage_offset(), x.shape, x.stride())


def _codes(x: Tensor) -> Tensor:
    """torch's quantized dtype as uint8 codes."""
    if x.numel() < SMALL:
        return x.int_repr()
    empty = torch.empty(0, dtype=torch.uint8)
    return empty.set_(x.untyped_storage(), x.storage_offset(), x.shape, x.stride())


def quantize(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """clamp(round(x / s) + z, 0, 255) as uint8."""
    return _codes(torch.quantize_per_tensor(x, scale, zero_point, torch.quint8))


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
    return _codes(torch.quantize_per_tensor(steps, 1.0, new_zero, torch.quint8))


def add(a: Tensor, b: Tensor, a_grid: Affine, b_grid: Affine, grid: Affine) -> Tensor:
    """The sum of two tensors on another 8-bit grid; their shapes broadcast."""
    a, b = _of_one_shape(a, b)
    total: Tensor = torch.ops.quantized.add(_wrap(a, *a_grid), _wrap(b, *b_grid), *grid)
    return _codes(total)


def multiply(a: Tensor, b: Tensor, a_grid: Affine, b_grid: Affine, grid: Affine) -> Tensor:
    """The product of two tensors on another 8-bit grid; their shapes broadcast."""
    a, b = _of_one_shape(a, b)
    (a_scale, a_zero), (b_scale, b_zero), (scale, zero) = a_grid, b_grid, grid
    step = reciprocal(a_scale * b_scale / scale)
    if step is not None:  # the product of the integers is exact, and rounded once
        a_scale, b_scale, scale = 1.0, 1.0, step
    factors = _wrap(a, a_scale, a_zero), _wrap(b, b_scale, b_zero)
    product: Tensor = torch.ops.quantized.mul(*factors, scale, zero)
    return _codes(product)


def reciprocal(multiplier: float) -> float | None:
    """The float32 whose float32 reciprocal is the multiplier, as float32; None if there is none."""
    wanted, one = np.float32(multiplier), np.float32(1)
    near = one / wanted
    below, above = np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf))
    return next((float(x) for x in (near, below, above) if one / x == wanted), None)


def _of_one_shape(a: Tensor, b: Tensor) -> list[Tensor]:
    """Operands as large as their result and alike in memory: torch's kernels are fast on no others.

    The layout is that of an operand that has the shape already.
    """
    if a.shape == b.shape and a.stride() == b.stride():
        return [a, b]
    shape: torch.Size = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]  # torch has no types
    like = next((x for x in (a, b) if x.shape == shape), None)
    if like is None:
        layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
        return [x.expand(shape).contiguous(memory_format=layout) for x in (a, b)]
    target = torch.empty_like(like)  # dense, in the same order
    return [
        x if x.shape == shape and x.stride() == target.stride() else _filled(target, x)
        for x in (a, b)
    ]


def _filled(like: Tensor, x: Tensor) -> Tensor:
    return torch.empty_like(like).copy_(x)


def requantize_sum(total: Tensor, multiplier: Tensor, out: QParams) -> Tensor:
    """clamp(round(M total) + z) as uint8, in float32 like the reference: equation (3)."""
    zero_point = int(out.zero_point.item())
    steps = (total * multiplier).round_()
    return (
        steps.clamp_(out.low - zero_point, out.high - zero_point).add_(zero_point).to(torch.uint8)
    )
