"""Fake quantization with gradients.

    v = x / s       q = clamp(round(v) + z, low, high)       y = s (q - z)

    dy/dx = 1    where floor < v + z < ceiling, else 0       straight through the rounding
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

ROW = 256
"""Numbers that are summed side by side: a few vector registers."""


@dataclass(frozen=True)
class Range:
    """Inclusive integer bounds, and between which `v + z` lets gradients pass."""

    low: int
    high: int
    floor: float
    ceiling: float


def whole(low: int, high: int) -> Range:
    """The range of a grid with no activation function in front of it."""
    return Range(low, high, low - HALF, high + HALF)


def fake_quantize(x: Tensor, scale: Tensor, zero_point: int | Tensor, range: Range) -> Tensor:
    """y as above, in x's dtype and memory format.

    `scale` broadcasts against x and may require gradients, as may a zero point of shape (). A
    tensor for a zero point holds whole numbers.
    """
    result: Tensor = _FakeQuantize.apply(x, scale, zero_point, range)  # type: ignore[no-untyped-call]  # torch's
    return result


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero_point: int | Tensor, range: Range
    ) -> Tensor:
        # The rounding is that of v alone: half to even counts from zero, whatever the zero point.
        shift = _number(zero_point)
        v = x * _inverse(scale, x.dtype)
        y = v.clamp(range.low - shift, range.high - shift).to(x.dtype).round_().mul_(scale)
        ctx.range, ctx.shift = range, shift
        ctx.save_for_backward(v, y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        v, y, scale = ctx.saved_tensors
        gradient = _laid_out_as(v, gradients[0])
        passed = _passed(gradient, v, ctx.range.floor - ctx.shift, ctx.range.ceiling - ctx.shift)
        needs_x, needs_scale, needs_zero_point, _ = ctx.needs_input_grad
        of_scale = of_zero_point = None
        if needs_scale:
            # sum(g (q - z)) - sum(passed x / s): both sums in float32, since they nearly cancel.
            of_scale = _dot(gradient, y, scale) / scale - _dot(passed, v, scale)
        if needs_zero_point:
            of_zero_point = -scale.reshape(()) * (_sum(gradient) - _sum(passed))
        return passed if needs_x else None, of_scale, of_zero_point, None


def _number(zero_point: int | Tensor) -> Any:  # a number where there is one, else the tensor
    if isinstance(zero_point, Tensor) and zero_point.numel() == 1:
        return zero_point.item()  # bounds that are tensors cost four times as much
    return zero_point


def _inverse(scale: Tensor, dtype: torch.dtype) -> Tensor:
    """1 / s; a single one keeps its own bits in a product with bfloat16."""
    inverse = scale.reciprocal()
    return inverse if inverse.ndim == 0 else inverse.to(dtype)


def _laid_out_as(v: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in v's memory format: that of a mean has none, and slows all before it."""
    return gradient if gradient.stride() == v.stride() else torch.empty_like(v).copy_(gradient)


def _passed(gradient: Tensor, v: Tensor, floor: float | Tensor, ceiling: float | Tensor) -> Tensor:
    """The gradient where floor < v < ceiling, else 0."""
    if isinstance(floor, Tensor):
        return torch.where((v > floor) & (v < ceiling), gradient, 0.0)
    passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, v, floor, ceiling)
    return passed


def _exact(x: Tensor) -> torch.dtype:
    """The dtype of sums: float32 at least."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _dot(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """The sum of a b over all axes along which the scale is constant, in its shape."""
    exact = _exact(a)
    if scale.numel() != 1 or a.stride() != b.stride():
        return (a.to(exact) * b.to(exact)).sum_to_size(scale.shape)
    a, b = _flat(a), _flat(b)
    dot = _sums(a, b)[0] if _in_rows(a) else torch.dot(a.to(exact), b.to(exact))
    return dot.reshape(scale.shape)


def _sum(a: Tensor) -> Tensor:
    """The sum of all elements."""
    flat = _flat(a)
    return _sums(flat, flat)[1] if _in_rows(flat) else a.sum(dtype=_exact(a))


def _in_rows(flat: Tensor) -> bool:
    """True where float32 copies would cost more than the sums themselves, and need not be made."""
    is_slow = flat.dtype == torch.bfloat16 and flat.device.type == "cpu"
    return is_slow and flat.numel() > 0 and flat.numel() % ROW == 0


def _sums(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The sums of a b and of a, in float32.

    They are the gradients of weight and bias of a batch norm with mean 0 and deviation 1, for ROW
    channels that lie side by side.
    """
    a, b = (x.view(1, -1, 1, ROW).permute(0, 3, 1, 2) for x in (a, b))
    mean, deviation = torch.zeros(ROW), torch.ones(ROW)
    _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
        a, b, None, None, None, mean, deviation, True, 0.0, [False, True, True]
    )
    return of_weight.sum(), of_bias.sum()


def _flat(x: Tensor) -> Tensor:
    """All elements in the order of memory."""
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x.permute(0, 2, 3, 1).reshape(-1)
    return x.reshape(-1)
