"""The range of least simulated error: clipping the tails against rounding everything more finely.

    argmin over [low, high]  of  sum_i n_i |c_i - Q(c_i)|^p          p = 2: mean squared error

c_i and n_i are the bins of the histogram; Q is the very grid that will run. Both ends shrink
together first, then each alone, twice over: lopsided data (SiLU) need their two ends chosen apart.
Ranges for weights are found in the same way on each row, both ends together, since a weight's grid
is symmetric as a rule.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, simulate
from zeropoint.observe.calibrator import Calibrator, grid_over
from zeropoint.observe.histogram import Histogram

STEPS = 100
SMALLEST = 0.05
"""Candidates are STEPS fractions of the full range, from SMALLEST to 1."""

ROUNDS = 2


@dataclass(frozen=True)
class MSE(Calibrator):
    """The range that minimizes the p-th power of the error."""

    p: float = 2.0

    def from_histogram(
        self, histogram: Histogram, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """Searched over the bins that are not empty."""
        filled = histogram.counts > 0
        points = histogram.centres()[filled].to(torch.float32)
        weights = (histogram.counts[filled] / histogram.total).to(torch.float32)
        low = torch.tensor(min(histogram.low, 0.0), dtype=torch.float64)
        high = torch.tensor(max(histogram.high, 0.0), dtype=torch.float64)
        shrunk = torch.linspace(1.0, SMALLEST, STEPS, dtype=torch.float64)
        best = self._best(points, weights, low * shrunk, high * shrunk, type, symmetric)
        one_end = symmetric or low == 0 or high == 0
        for _ in range(0 if one_end else ROUNDS):
            best = self._best(points, weights, best[0].expand(STEPS), high * shrunk, type, False)
            best = self._best(points, weights, low * shrunk, best[1].expand(STEPS), type, False)
        return best[0].item(), best[1].item()

    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """Searched on the weights themselves."""
        low, high = rows.amin(1).clamp(max=0.0), rows.amax(1).clamp(min=0.0)
        least = torch.full_like(low, torch.inf)
        best_low, best_high = low, high
        for fraction in torch.linspace(1.0, SMALLEST, STEPS).tolist():
            params = grid_over(low * fraction, high * fraction, type, symmetric, axis=0)
            error = self._error(rows, params).sum(1)
            better = error < least
            least = torch.where(better, error, least)
            best_low = torch.where(better, low * fraction, best_low)
            best_high = torch.where(better, high * fraction, best_high)
        return best_low, best_high

    def _best(
        self,
        points: Tensor,
        weights: Tensor,
        lows: Tensor,
        highs: Tensor,
        type: IntegerType,
        symmetric: bool,
    ) -> tuple[Tensor, Tensor]:
        """The candidate of least error; the widest among equals."""
        params = grid_over(lows, highs, type, symmetric, axis=0)
        errors = self._error(points.expand(len(lows), -1), params) @ weights
        index = int(errors.argmin())
        return lows[index], highs[index]

    def _error(self, real: Tensor, params: QParams) -> Tensor:
        error = simulate(real, params).sub_(real)
        return error.square_() if self.p == 2 else error.abs_().pow_(self.p)
