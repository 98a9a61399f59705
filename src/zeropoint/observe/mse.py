"""The range of least simulated error: clipping the tails against rounding everything more finely.

    argmin over [low, high]  of  mean |x - Q(x)|^p          p = 2: mean squared error

Q is the very grid that will run, the mean is that of error.py. The two ends are chosen apart, since
lopsided data (SiLU) need it: first among shares of the full range in geometric sequence, since an
outlier may lie a thousand times beyond the rest, then among ever closer neighbours of the best.
Ranges for weights are found in the same way on each row, both ends together, since a weight's grid
is symmetric as a rule.

OMSE: Choukroun et al., arXiv:1902.06822. p = 2.4 as in BRECQ (arXiv:2102.05426) clips less.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.errors import RecipeError
from zeropoint.observe.calibrator import Calibrator, grid_over
from zeropoint.observe.error import Density, mean_error
from zeropoint.observe.observation import Observation

NARROWEST = 2.0**-11
"""Of the full range: narrower than a step of one bin there is nothing to see."""

SHARES = 96
PAIRS, MERGED = 24, 4
"""Where both ends vary, the first look is at PAIRS x PAIRS ranges, and bins are merged by 4."""

NARROWEST_OF_ROWS, SHARES_OF_ROWS = 0.05, 24

NEIGHBOURS = 4
"""To either side of the best, up to the nearest that the last round has seen."""

ROUNDS, ROUNDS_OF_ROWS = 8, 2
"""At most: a round whose neighbours are closer than a bin is the last."""


@dataclass(frozen=True)
class MSE(Calibrator):
    """The range that minimizes the p-th power of the error."""

    p: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.p <= 16:
            raise RecipeError(
                f"p={self.p!r} is no power of an error to minimize; "
                "use a number above 0 and at most 16, such as 2.0"
            )

    def from_observation(
        self, observation: Observation, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """Searched over the bins that are not empty."""
        low, high = min(observation.low, 0.0), max(observation.high, 0.0)
        full = torch.tensor([low, high], dtype=torch.float64)

        def best(density: Density, shares: Tensor) -> Tensor:
            """Of shares (C, 2) of the two ends that of least error."""
            lows, highs = (shares * full).unbind(1)
            grids = grid_over(lows, highs, type, symmetric, axis=0)
            return shares[density.error(grids, self.p).argmin()]

        together = symmetric or low == 0 or high == 0
        shares = _geometric(NARROWEST, SHARES if together else PAIRS)
        first = Density.of(observation, merged=1 if together else MERGED)
        found = best(first, _ranges(shares, together))
        density = Density.of(observation)
        factors = (shares[0] / shares[1]) ** _NEAR
        bin = observation.histogram.width / max(-low, high, torch.finfo(torch.float32).tiny)
        for _ in range(ROUNDS):
            near = (found * _ranges(factors, together)).clamp(max=1.0)
            found = best(density, torch.cat([torch.ones(1, 2, dtype=torch.float64), near]))
            factors = factors ** (1 / NEIGHBOURS)
            if factors[-1] - 1 < bin:
                break
        return (found[0] * low).item(), (found[1] * high).item()

    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """Searched on the weights themselves."""
        low, high = rows.amin(1).clamp(max=0.0), rows.amax(1).clamp(min=0.0)
        shares = _geometric(NARROWEST_OF_ROWS, SHARES_OF_ROWS)
        found, least = torch.ones_like(low), torch.full_like(low, torch.inf)

        def look(share: Tensor) -> None:
            nonlocal found, least
            params = grid_over(low * share, high * share, type, symmetric, axis=0)
            error = mean_error(rows, params, self.p)
            found = torch.where(error < least, share, found)
            least = torch.minimum(error, least)

        for share in shares.to(rows.dtype):
            look(share.expand_as(low))
        factors = (shares[0] / shares[1]) ** _NEAR
        for _ in range(ROUNDS_OF_ROWS):
            centre = found
            for factor in factors.to(rows.dtype):
                look((centre * factor).clamp(max=1.0))
            factors = factors ** (1 / NEIGHBOURS)
        return low * found, high * found


_NEAR = torch.arange(-NEIGHBOURS, NEIGHBOURS + 1, dtype=torch.float64) / NEIGHBOURS


def _geometric(narrowest: float, count: int) -> Tensor:
    """Shares of the full range, from 1 down to the narrowest."""
    return torch.logspace(0, math.log2(narrowest), count, base=2, dtype=torch.float64)


def _ranges(shares: Tensor, together: bool) -> Tensor:
    """Pairs of shares (C, 2) of the two ends: the same for both, or each with each."""
    return shares[:, None].expand(-1, 2) if together else torch.cartesian_prod(shares, shares)
