"""Fake quantization with gradients.

    v = x / s + z       q = clamp(round(v), low, high)       y = s (q - z)

    dy/dx = 1    where floor < v < ceiling, else 0           straight through the rounding
    dy/ds = q - z - x / s    where dy/dx is 1, else q - z    Esser et al. 2020, equation (3)
    dy/dz = 0                where dy/dx is 1, else -s       Bhalgat et al. 2020, equation (6)

`floor` and `ceiling` are the bounds of what still rounds into the grid, [low - 1/2, high + 1/2], or
an activation function's own: a ReLU in front of a grid that begins at zero is the clamp itself, and
`floor` = z then stops the gradients that the ReLU would have stopped.

torch.fake_quantize_* computes the same values fifteen times slower on a CPU.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

HALF = 0.5


@dataclass(frozen=True)
class Range:
    """Inclusive integer bounds, and between which `v` lets gradients pass."""

    low: int
    high: int
    floor: float
    ceiling: float


def whole(low: int, high: int) -> Range:
    """The range of a grid with no activation function in front of it."""
    return Range(low, high, low - HALF, high + HALF)


def fake_quantize(x: Tensor, scale: Tensor, zero_point: int | Tensor, range: Range) -> Tensor:
    """y as above, in x's dtype and memory format.

    `scale` broadcasts against x and may require gradients, as may a tensor for a zero point, which
    holds whole numbers.
    """
    result: Tensor = _FakeQuantize.apply(x, scale, zero_point, range)  # type: ignore[no-untyped-call]  # torch's
    return result


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero_point: int | Tensor, range: Range
    ) -> Tensor:
        inverse = scale.reciprocal().to(x.dtype)
        if isinstance(zero_point, Tensor):
            v = torch.addcmul(zero_point.to(x.dtype), x, inverse)
            y = v.clamp(range.low, range.high).round_().sub_(zero_point)
        else:
            # With a fixed zero point v is taken relative to it, which saves two passes.
            v = x * inverse
            y = v.clamp(range.low - zero_point, range.high - zero_point).round_()
        y.mul_(scale)
        ctx.range, ctx.shift = range, 0 if isinstance(zero_point, Tensor) else zero_point
        ctx.save_for_backward(v, y, scale, zero_point if isinstance(zero_point, Tensor) else None)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        v, y, scale, zero_point = ctx.saved_tensors
        floor, ceiling = ctx.range.floor - ctx.shift, ctx.range.ceiling - ctx.shift
        passed = torch.ops.aten.hardtanh_backward(gradient, v, floor, ceiling)
        needs_x, needs_scale, needs_zero_point, _ = ctx.needs_input_grad
        of_scale = of_zero_point = None
        if needs_scale:
            # sum(g (q - z)) - sum(passed x / s): both sums in float32, since they nearly cancel.
            of_scale = _dot(gradient, y, scale) / scale
            centred = v if zero_point is None else v - zero_point.to(v.dtype)
            of_scale = of_scale - _dot(passed, centred, scale)
        if needs_zero_point:
            stopped = gradient.sum(dtype=torch.float32) - passed.sum(dtype=torch.float32)
            of_zero_point = -scale.reshape(()) * stopped
        return passed if needs_x else None, of_scale, of_zero_point, None


def _dot(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """The sum of a b over all axes along which the scale is constant, in its shape."""
    exact = torch.float64 if a.dtype == torch.float64 else torch.float32
    if scale.numel() == 1 and a.stride() == b.stride():
        return torch.dot(_flat(a).to(exact), _flat(b).to(exact)).reshape(scale.shape)
    return (a.to(exact) * b.to(exact)).sum_to_size(scale.shape)


def _flat(x: Tensor) -> Tensor:
    """All elements in the order of memory."""
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x.permute(0, 2, 3, 1).reshape(-1)
    return x.reshape(-1)
