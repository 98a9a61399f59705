"""Functions of one real number on integers: a table with an entry for each code.

    (4)  T[q] = clamp(round(f(s_x (q - z_x)) / s_y) + z_y, low, high)

Tables are made beforehand, in float64; where they are read there is no float. An entry is within
half a step of the function. Where f is infinite it saturates; a code at which f is not a number
(the square root of what is below zero) has the entry of the nearest code at which it is.

An accumulator has too many values for a table. What f becomes on a grid is a staircase all the
same: fixed point looks up between which two of its steps an accumulator lies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.fixed_point import INT32_MAX, INT32_MIN
from zeropoint.arithmetic.qparams import QParams
from zeropoint.errors import ProgramError

RealFunction = Callable[[Tensor], Tensor]
"""From float64 numbers to as many."""

UNIT_BITS = 10
"""A step of the result is so many bits of units: then int32 reaches 2 million steps."""

PER_OCTAVE = 32
MOST_POINTS = 1 << 20
"""A grid has few codes, and a function that layers apply goes through them a few times."""


def table(function: RealFunction, x: QParams, y: QParams) -> Tensor:
    """Equation (4): the code on `y` for each code of the type of `x`, the lowest first.

    ValueError if the function is not a number at any of them.
    """
    return narrowed(_without_gaps(function(_reals(x))), y)


def is_finite(function: RealFunction, x: QParams) -> bool:
    """True if the function is a finite number at every code."""
    return bool(torch.isfinite(function(_reals(x)).to(torch.float32)).all())


def _reals(x: QParams) -> Tensor:
    codes = torch.arange(x.type.low, x.type.high + 1)
    return (codes - x.zero_point) * x.scale.to(torch.float64)


def narrowed(real: Tensor, y: QParams) -> Tensor:
    """The codes nearest to float64 numbers, infinite ones at the ends."""
    steps = torch.round(real / y.scale.to(torch.float64)) + y.zero_point
    return steps.clamp(y.low, y.high).to(y.type.storage)


def _without_gaps(real: Tensor) -> Tensor:
    known = (~torch.isnan(real)).nonzero().flatten()
    if not known.numel():
        raise ValueError("the function is not a number at any code of its operand")
    places = torch.arange(real.numel())
    nearest = (places[:, None] - known[None, :]).abs().argmin(1)
    return real[known[nearest]]


@dataclass(frozen=True)
class Staircase:
    """A function onto a grid, as the places where its code changes.

    Below thresholds[0] the code is codes[0], from thresholds[i] on it is codes[i + 1]. Thresholds
    are int32 multiples of `unit`, a small part of a step of the result.
    """

    unit: Tensor
    thresholds: Tensor
    codes: Tensor

    def read(self, steps: Tensor) -> Tensor:
        """The code for each number of units (int32)."""
        return self.codes[torch.searchsorted(self.thresholds, steps.contiguous(), right=True)]


def staircase(function: RealFunction, y: QParams) -> Staircase:
    """A function as a staircase, exact to one unit; it may have a few bends and jumps, not a swarm.

    Bisection, from points that lie an octave's 32nd apart.
    """
    unit = y.scale.to(torch.float64) / (1 << UNIT_BITS)
    points = _first_points()
    while len(points) <= MOST_POINTS:
        codes = narrowed(function(points * unit), y)
        steep = (codes[1:] != codes[:-1]) & (points[1:] - points[:-1] > 1)
        if not bool(steep.any()):
            break
        middle = points[:-1] + (points[1:] - points[:-1]) // 2
        points = torch.cat([points, middle[steep]]).sort().values
    else:
        raise ProgramError("a layer's function has too many bends for fixed point")
    changes = (codes[1:] != codes[:-1]).nonzero().flatten()
    thresholds = points[changes + 1].to(torch.int32)
    return Staircase(unit, thresholds, torch.cat([codes[:1], codes[changes + 1]]))


def _first_points() -> Tensor:
    octaves = torch.arange(31 * PER_OCTAVE, dtype=torch.float64) / PER_OCTAVE
    reach = torch.floor(2.0**octaves).to(torch.int64)
    ends = torch.tensor([INT32_MIN, 0, INT32_MAX])
    points: Tensor = torch.unique(torch.cat([ends, reach, -reach]))
    return points
