"""Whichever calibrator has the least simulated error: for each value, at its bits, on its grid.

Mean squared error decides, so `MSE()` is what it finds unless another happens to be better; by how
much shows the table of `zeropoint.Statistics`. Of equals the first of CALIBRATORS is taken.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.observe.calibrator import Calibrator, grid_over
from zeropoint.observe.entropy import Entropy
from zeropoint.observe.error import Density, mean_error
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.moving_average import MovingAverage
from zeropoint.observe.mse import MSE
from zeropoint.observe.observation import Observation
from zeropoint.observe.percentile import Percentile
from zeropoint.observe.sigma import Sigma

CALIBRATORS: tuple[Calibrator, ...] = (
    MinMax(),
    MovingAverage(),
    Sigma(),
    Percentile(),
    Entropy(),
    MSE(),
)
"""One of each kind, as it comes. To add a calibrator is to add its file, and one here."""


@dataclass(frozen=True)
class Best(Calibrator):
    """The range of the calibrator whose simulated error is least."""

    def from_observation(
        self, observation: Observation, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """By the histogram."""
        ranges = [c.from_observation(observation, type, symmetric) for c in CALIBRATORS]
        density = Density.of(observation)

        def error(chosen: tuple[float, float]) -> float:
            low, high = torch.tensor(chosen, dtype=torch.float64)
            return density.error(grid_over(low, high, type, symmetric)).item()

        return min(ranges, key=error)

    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """By the weights themselves, for each row."""
        found = [c.from_rows(rows, type, symmetric) for c in CALIBRATORS]
        lows = torch.stack([low.to(rows.dtype) for low, _ in found])
        highs = torch.stack([high.to(rows.dtype) for _, high in found])
        errors = [
            mean_error(rows, grid_over(low, high, type, symmetric, axis=0))
            for low, high in zip(lows, highs, strict=True)
        ]
        best = torch.stack(errors).argmin(0, keepdim=True)
        return lows.gather(0, best)[0], highs.gather(0, best)[0]
