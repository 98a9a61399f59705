"""Exact int32 accumulators: equation (2) of docs/arithmetic.md.

    (2)  acc = sum (q_x - z_x)(q_w - z_w) + q_b

The sums run in float64, whose 53-bit mantissa holds every partial sum of integers below 2^53
exactly: any order gives the same integer, and torch has fast float64 kernels but slow integer ones.
"""

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, broadcast
from zeropoint.errors import ProgramError


def centred(q: Tensor, params: QParams) -> Tensor:
    """q - z as exact float64."""
    zero_point = broadcast(params.zero_point, q.ndim, params.axis)
    return (q.to(torch.int32) - zero_point).to(torch.float64)


def as_int32(exact: Tensor) -> Tensor:
    """The integers in a float64 tensor as int32; ProgramError for one that does not fit."""
    if exact.numel() and exact.abs().max() >= 2.0**31:
        raise ProgramError(
            f"an accumulator reaches {exact.abs().max().item():.0f}, beyond int32; "
            "the program's verifier should have refused it"
        )
    return exact.to(torch.int32)


def real_bounds(low: float | None, high: float | None, params: QParams) -> tuple[int, int]:
    """Integer bounds of an activation: the grid's own, narrowed to the real [low, high].

    Where low > high, high wins, as in torch.clamp.
    """
    top = params.high if high is None else _nearest(high, params)
    bottom = params.low if low is None else _nearest(low, params)
    return min(bottom, top), top


def _nearest(real: float, params: QParams) -> int:
    """The code of a real number; an infinite one is the end of the grid."""
    zero_point = int(params.zero_point.item())
    steps = real / params.scale.item()
    return round(min(max(steps, params.low - zero_point), params.high - zero_point)) + zero_point


def clamp_real(real: Tensor, low: float | None, high: float | None) -> Tensor:
    """The float form of an activation, in place."""
    if low is None and high is None:
        return real
    return real.relu_() if (low, high) == (0.0, None) else real.clamp_(low, high)
