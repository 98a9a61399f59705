"""Multiplying an int32 accumulator by a real number below one without any float.

A real multiplier M is an int32 mantissa m and an exponent e, M = m 2^(e - 31), 2^30 <= m < 2^31
(Jacob et al. 2018, section 2.2, equation (6)). Two ways to round the product, by their names in
TFLite:

    double   round to 31 bits half up, then shift right half away from zero (gemmlowp)
    single   one shift right of the 64-bit product, half up (ruy, TOSA)

`multipliers` runs once, offline, and may use floats. Everything else is int64 arithmetic on values
that fit int32, so that no step can overflow.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1

Rounding = Literal["single", "double"]


@dataclass(frozen=True)
class Multiplier:
    """Mantissas `m` and exponents `e` (both int64, of the same shape): M = m 2^(e - 31)."""

    mantissa: Tensor
    exponent: Tensor


def multipliers(real: Tensor) -> Multiplier:
    """The mantissa and exponent of every element of `real` (>= 0), as TFLite's QuantizeMultiplier.

    The mantissa is rounded half away from zero to 31 bits. A multiplier below 2^-32 is zero; one of
    2^30 or more is the greatest there is, since the shift of the product has to go right.

    >>> multipliers(torch.tensor([0.5, 0.75])).mantissa.tolist()
    [1073741824, 1610612736]
    """
    pairs = [_mantissa_and_exponent(value) for value in real.to(torch.float64).flatten().tolist()]
    mantissa = torch.tensor([m for m, _ in pairs], dtype=torch.int64).reshape(real.shape)
    exponent = torch.tensor([e for _, e in pairs], dtype=torch.int64).reshape(real.shape)
    return Multiplier(mantissa, exponent)


def _mantissa_and_exponent(value: float) -> tuple[int, int]:
    if value == 0.0:
        return 0, 0
    fraction, exponent = math.frexp(value)
    mantissa = math.floor(fraction * (1 << 31) + 0.5)
    if mantissa == 1 << 31:
        mantissa, exponent = mantissa // 2, exponent + 1
    if exponent > 30:
        return INT32_MAX, 30
    return (0, 0) if exponent < -31 else (mantissa, exponent)


def multiply(x: Tensor, by: Multiplier, rounding: Rounding) -> Tensor:
    """round(M x) as int64, for int32 values `x` and multipliers that broadcast against them."""
    x = x.to(torch.int64)
    if rounding == "single":
        return rounding_shift(x * by.mantissa, 31 - by.exponent)
    left, right = by.exponent.clamp(min=0), (-by.exponent).clamp(min=0)
    product = saturating_rounding_doubling_high_mul(saturate(x << left), by.mantissa)
    return rounding_divide_by_power_of_two(product, right)


def rounding_shift(x: Tensor, shift: Tensor) -> Tensor:
    """x / 2^shift rounded half up, for shift >= 1 (TFLite's single rounding).

    >>> rounding_shift(torch.tensor([5, -5]), torch.tensor(1)).tolist()
    [3, -2]
    """
    shift = shift.clamp(max=62)
    return (x + (torch.ones_like(shift) << (shift - 1))) >> shift


def saturating_rounding_doubling_high_mul(a: Tensor, b: Tensor) -> Tensor:
    """The high 32 bits of 2ab: trunc((ab + nudge) / 2^31), gemmlowp's SRDHM.

    The one product that does not fit, INT32_MIN * INT32_MIN, saturates.
    """
    product = a * b
    nudge = torch.where(product >= 0, 1 << 30, 1 - (1 << 30))
    return torch.div(product + nudge, 1 << 31, rounding_mode="trunc").clamp(max=INT32_MAX)


def rounding_divide_by_power_of_two(x: Tensor, exponent: Tensor) -> Tensor:
    """x / 2^exponent rounded half away from zero, gemmlowp's RDBPOT.

    >>> rounding_divide_by_power_of_two(torch.tensor([5, -5]), torch.tensor(1)).tolist()
    [3, -3]
    """
    mask = (torch.ones_like(exponent) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def saturate(x: Tensor) -> Tensor:
    """x clamped to int32."""
    return x.clamp(INT32_MIN, INT32_MAX)
