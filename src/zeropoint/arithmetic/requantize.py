"""From int32 accumulators to a narrow integer: equation (3) of docs/arithmetic.md.

    (3)  q = clamp(round(sum_i M_i a_i) + z, low, high)

One term is an ordinary requantization; two are a convolution with a residual add, or an addition:
the sum is rounded once. An *arithmetic profile* says how M is applied:

    Float32      a and M are float32 numbers, round half to even     oneDNN, ONNX Runtime, OpenVINO
    FixedPoint   M is an int32 mantissa and a shift, no float        Jacob et al. 2018, TFLite

A function may come before the rounding:

    (5)  q = clamp(round(f(sum_i s_i a_i) / s_y) + z, low, high)

    Float32      the sum as above, then f in float64
    FixedPoint   the sum in 1024ths of a step, then a search among the sums where the code changes
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from zeropoint.arithmetic.fixed_point import (
    Multiplier,
    Rounding,
    multipliers,
    multiply,
    rounding_shift,
    saturate,
)
from zeropoint.arithmetic.lookup import RealFunction, Staircase, narrowed, staircase
from zeropoint.arithmetic.qparams import QParams

SUM_BITS = 16
"""Fractional bits that each term of a fixed-point sum keeps until the one final rounding."""


@dataclass(frozen=True)
class Term:
    """An int32 accumulator and its real multiplier (float64, broadcastable against it)."""

    accumulator: Tensor
    multiplier: Tensor


@dataclass(frozen=True)
class Grid:
    """Where the result lives: zero point and inclusive integer bounds."""

    zero_point: int
    low: int
    high: int


class Arithmetic(Protocol):
    """How a sum of scaled accumulators is rounded."""

    def requantize(self, terms: Sequence[Term], grid: Grid) -> Tensor:
        """Equation (3) as int32."""
        ...

    def apply(self, function: RealFunction, terms: Sequence[Term], y: QParams) -> Tensor:
        """Equation (5) in the storage type of `y`; multipliers are the scales of the terms."""
        ...


@dataclass(frozen=True)
class Float32:
    """One float32 product for each term, a float32 sum, round half to even."""

    def requantize(self, terms: Sequence[Term], grid: Grid) -> Tensor:
        """Equation (3) as int32."""
        # Clamp before the cast: a float beyond int32 has no defined integer.
        low, high = grid.low - grid.zero_point, grid.high - grid.zero_point
        return torch.round(_float_sum(terms)).clamp(low, high).to(torch.int32) + grid.zero_point

    def apply(self, function: RealFunction, terms: Sequence[Term], y: QParams) -> Tensor:
        """Equation (5): the sum is float32, the function of it exact."""
        return narrowed(function(_float_sum(terms).to(torch.float64)), y)


@dataclass(frozen=True)
class Nudged:
    """Float32 of numbers that are `by` steps greater: what may round otherwise shows."""

    by: float

    def requantize(self, terms: Sequence[Term], grid: Grid) -> Tensor:
        """Equation (3) as int32."""
        low, high = grid.low - grid.zero_point, grid.high - grid.zero_point
        moved = _float_sum(terms).to(torch.float64) + self.by
        return torch.round(moved).clamp(low, high).to(torch.int32) + grid.zero_point

    def apply(self, function: RealFunction, terms: Sequence[Term], y: QParams) -> Tensor:
        """Equation (5)."""
        real = function(_float_sum(terms).to(torch.float64))
        return narrowed(real + self.by * y.scale.to(torch.float64), y)


def _float_sum(terms: Sequence[Term]) -> Tensor:
    first, *others = (
        term.accumulator.to(torch.float32) * term.multiplier.to(torch.float32) for term in terms
    )
    return sum(others, start=first)


@dataclass(frozen=True)
class FixedPoint:
    """Integers only. A sum keeps SUM_BITS fractional bits of every term and rounds once."""

    rounding: Rounding = "double"

    def requantize(self, terms: Sequence[Term], grid: Grid) -> Tensor:
        """Equation (3) as int32."""
        by = fixed_multipliers(terms)
        if len(terms) == 1:
            total = multiply(terms[0].accumulator, by[0], self.rounding)
        else:
            fine = (
                saturate(multiply(term.accumulator, m, "single"))
                for term, m in zip(terms, by, strict=True)
            )
            total = rounding_shift(sum(fine, start=torch.tensor(0)), torch.tensor(SUM_BITS))
        return (total + grid.zero_point).clamp(grid.low, grid.high).to(torch.int32)

    def apply(self, function: RealFunction, terms: Sequence[Term], y: QParams) -> Tensor:
        """Equation (5): each term is rounded to units of the staircase."""
        stairs = staircase(function, y)
        units = [
            multiply(term.accumulator, by, self.rounding)
            for term, by in zip(terms, unit_multipliers(terms, stairs), strict=True)
        ]
        return stairs.read(saturate(sum(units, start=torch.tensor(0))).to(torch.int32))


def unit_multipliers(terms: Sequence[Term], stairs: Staircase) -> tuple[Multiplier, ...]:
    """The multipliers by which FixedPoint gets from accumulators to units of a staircase."""
    return tuple(multipliers(term.multiplier / stairs.unit) for term in terms)


def fixed_multipliers(terms: Sequence[Term]) -> tuple[Multiplier, ...]:
    """The multipliers by which FixedPoint computes: those of a sum are 2^SUM_BITS times as great.

    Other code that computes in fixed point takes them from here, too.
    """
    factor = 1 if len(terms) == 1 else 1 << SUM_BITS
    return tuple(multipliers(term.multiplier * factor) for term in terms)
