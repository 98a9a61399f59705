"""How the integers of a value are stored.

    uint8_t   activations, whatever their width
    int32_t   accumulators

A signed activation is stored as its code plus 128, and its zero point and bounds with it: the same
real numbers. So there is one version of every operator.
"""

from dataclasses import dataclass

from zeropoint.arithmetic.integer import INT32
from zeropoint.arithmetic.qparams import QParams
from zeropoint.arithmetic.requantize import Grid

SIGNED_OFFSET = 128


@dataclass(frozen=True)
class Codes:
    """The codes of a grid as they are stored."""

    zero: int
    low: int
    high: int
    offset: int

    @property
    def grid(self) -> tuple[int, int, int]:
        """The members of `struct grid`."""
        return self.zero, self.low, self.high


def is_wide(params: QParams) -> bool:
    """True for accumulators."""
    return params.type == INT32


def is_narrow(params: QParams) -> bool:
    """True for what fits uint8_t."""
    return params.type.bits <= 8 and params.axis is None and params.zero_point.ndim == 0


def codes(params: QParams) -> Codes:
    """The codes of an activation, or of a part of its grid."""
    grid = Grid(int(params.zero_point.item()), params.low, params.high)
    return codes_of(grid, params)


def codes_of(grid: Grid, params: QParams) -> Codes:
    """The codes between the bounds of a requantization onto the grid `params`."""
    offset = SIGNED_OFFSET if params.type.signed else 0
    return Codes(grid.zero_point + offset, grid.low + offset, grid.high + offset, offset)
