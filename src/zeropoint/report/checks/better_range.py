"""The calibrator that would choose the best range for a unit's grid, and what is left then."""

import math
from dataclasses import dataclass

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams
from zeropoint.observe.calibrator import Calibrator, grid_of, grid_over
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE
from zeropoint.observe.percentile import Percentile
from zeropoint.report.analysis.finding import Change, Edit
from zeropoint.report.checks.evidence import Evidence

CALIBRATORS: tuple[Calibrator, ...] = (MSE(), MinMax(), Percentile())
"""Of equals the first is proposed."""

SAME = 1.02
"""A calibrator is recognized by a grid whose range is its own up to this factor."""


@dataclass(frozen=True)
class BetterRange:
    """A change of calibrator, its grid, and the share of the unit's own error left on it."""

    calibrator: Calibrator
    grid: QParams
    change: Change
    left: float


def better_range(evidence: Evidence) -> BetterRange | None:
    """The best of the calibrators; None if it is not worth a change, or nothing can be changed.

    The one in use is never proposed: on these images it may choose another range than on those of
    the calibration, but the recipe would be the same.
    """
    grid, key = evidence.grid, evidence.key
    if grid is None or key is None:
        return None
    observation = evidence.tally.observation
    used = None if evidence.spec is None else evidence.spec.calibrator
    others = [c for c in CALIBRATORS if c != used]
    grids = {c: grid_of(c, observation, grid.type, evidence.is_symmetric) for c in others}
    best = min(grids, key=lambda c: evidence.narrowing_left(grids[c]))
    left = evidence.left(narrowing=evidence.narrowing_left(grids[best]))
    if not evidence.is_worth(left):
        return None
    change = Change(key, evidence.origin, activations=Edit(calibrator=best))
    return BetterRange(best, grids[best], change, left)


def regridded(evidence: Evidence, type: IntegerType, symmetric: bool) -> QParams:
    """The grid that the unit would get with another type or symmetry and the same calibrator.

    A program does not say which calibrator made its grids. If one of ours makes the grid that is
    there, it is the one; if none does, the range stays, as far as there are data.
    """
    grid, observation = evidence.grid, evidence.tally.observation
    assert grid is not None  # callers have seen it
    for calibrator in CALIBRATORS:
        known = grid_of(calibrator, observation, grid.type, evidence.is_symmetric)
        ratio = (known.scale / grid.scale).item()
        if abs(math.log(ratio)) <= math.log(SAME):
            return grid_of(calibrator, observation, type, symmetric)
    low, high = grid.real_range
    needed = low.clamp(min=observation.low), high.clamp(max=observation.high)
    return grid_over(*needed, type, symmetric)


def spelled(grid: QParams) -> str:
    """The real range of a grid per tensor."""
    low, high = grid.real_range
    return f"[{low.item():.4g}, {high.item():.4g}]"
