"""n standard deviations around the mean, and never beyond the data.

    [mean - n sigma, mean + n sigma]  intersected with  [min x, max x]

Data of one sign have no such middle: after a ReLU half of them are zeros, and mean - 3 sigma is
nonsense. They are taken for one half of something symmetric around zero, without the zeros:

    [0, n sigma]      sigma^2 = mean of x^2 over x != 0
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.errors import RecipeError
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.error import Density
from zeropoint.observe.observation import Observation


@dataclass(frozen=True)
class Sigma(Calibrator):
    """The mean, and n standard deviations to either side."""

    n: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.n < math.inf:
            raise RecipeError(
                f"n={self.n!r} is no number of standard deviations; "
                "use a positive number, such as 3.0"
            )

    def from_observation(
        self, observation: Observation, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """Moments of the histogram."""
        low, high = observation.low, observation.high
        nonzero = observation.total - observation.histogram.zeros
        if nonzero == 0:
            return low, high
        mean, square = Density.of(observation).moments()
        if low >= 0 or high <= 0:
            reach = self.n * math.sqrt(square * (observation.total / nonzero))
            return max(low, -reach), min(high, reach)
        reach = self.n * math.sqrt(max(square - mean * mean, 0.0))
        return max(low, mean - reach), min(high, mean + reach)

    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """The same for each row."""
        x = rows.to(torch.float64)
        low, high = x.amin(1), x.amax(1)
        one_sided = (low >= 0) | (high <= 0)
        mean = torch.where(one_sided, 0.0, x.mean(1))
        count = torch.where(one_sided, (x != 0).sum(1).clamp(min=1), x.shape[1])
        reach = self.n * ((x - mean[:, None]).square().sum(1) / count).sqrt()
        return torch.maximum(low, mean - reach), torch.minimum(high, mean + reach)
