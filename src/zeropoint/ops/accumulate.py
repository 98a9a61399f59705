"""Exact int32 accumulators: equation (2) of docs/arithmetic.md.

    (2)  acc = sum (q_x - z_x)(q_w - z_w) + q_b

The sums run in floating point, for which torch has fast kernels: a mantissa of 53 bits (float64)
or 24 (float32) holds every partial sum of integers below 2^53 or 2^24, so any order gives the same
integer. Float32 is taken where no partial sum can get so far with the weights at hand.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, broadcast
from zeropoint.errors import ProgramError
from zeropoint.graph.op import Signature

EXACT = 2.0**24
"""Every integer up to here is a float32."""

NARROW = 2.0**8
"""Every integer up to here is a bfloat16, in which a CPU may be told to multiply float32."""

Product = Callable[[Tensor, Tensor, Tensor], Tensor]
"""x, weight and bias, all of one floating point type, to the accumulators in that type."""


def accumulated(product: Product, inputs: Sequence[Tensor], signature: Signature) -> Tensor:
    """Equation (2) as int32; a weight's first axis is that of the output's channels."""
    (x, weight, bias), (on_x, on_weight) = inputs[:3], signature.inputs[:2]
    weight = _centred(weight, on_weight, torch.float32)
    dtype = _type_of_sums(on_x, weight, bias)
    with ExitStack() as exactly:
        if dtype == torch.float32:
            exactly.enter_context(torch.autocast(x.device.type, enabled=False))
            exactly.enter_context(torch.backends.nnpack.flags(enabled=False))  # Winograd's sums
        sums = product(_centred(x, on_x, dtype), weight.to(dtype), bias.to(dtype))
    return sums.to(torch.int32) if dtype == torch.float32 else as_int32(sums)


def _type_of_sums(on_x: QParams, weight: Tensor, bias: Tensor) -> torch.dtype:
    """Float32 if no partial sum can leave its mantissa, else float64."""
    zero_point = on_x.zero_point.max().item()
    farthest = max(on_x.high - zero_point, zero_point - on_x.low)
    if weight.device.type != "cpu" or farthest > NARROW or not weight.numel():
        return torch.float64  # a GPU may multiply float32 in other ways
    sizes = weight.abs()
    sums = sizes.flatten(1).sum(1)
    largest = farthest * sums.max().item() + bias.to(torch.float64).abs().max().item()
    return torch.float32 if sizes.max() <= NARROW and largest < EXACT else torch.float64


def centred(q: Tensor, params: QParams) -> Tensor:
    """q - z as exact float64."""
    return _centred(q, params, torch.float64)


def _centred(q: Tensor, params: QParams, dtype: torch.dtype) -> Tensor:
    """q - z: codes have at most 16 bits, so that every floating point type here holds both."""
    return q.to(dtype).sub_(broadcast(params.zero_point, q.ndim, params.axis))


def as_int32(exact: Tensor) -> Tensor:
    """The integers in a float64 tensor as int32; ProgramError for one that does not fit."""
    if exact.numel() and exact.abs().max() >= 2.0**31:
        raise ProgramError(
            f"a sum reaches {exact.abs().max().item():,.0f}, beyond int32: the input is too large "
            "for this network; zeropoint.prove tells up to which size its sums fit"
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
