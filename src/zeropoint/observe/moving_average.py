"""Exponential moving averages of each batch's extremes: what training-time observers keep.

    m_0 = max x over batch 0        m_t = momentum m_(t-1) + (1 - momentum) max x over batch t

and the same for the minimum; a symmetric range takes max |x|, "moving_max". The order and the size
of the batches matter, by definition: both are the samples' own (samples.py), not the loader's. A
rare outlier fades, and a slow drift of the data is followed: both matter in training more than
here.

Jacob et al., CVPR 2018, section 3.1; momentum 0.99 as in torch.ao.quantization.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.errors import RecipeError
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.observation import Observation


@dataclass(frozen=True)
class MovingAverage(Calibrator):
    """The extremes of the batches, averaged so that the last ones weigh most."""

    momentum: float = 0.99

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise RecipeError(
                f"momentum={self.momentum!r} is no share of the past that a moving average keeps; "
                "use a number from 0 to below 1, such as 0.99"
            )

    def from_observation(
        self, observation: Observation, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """Over the batches in the order in which they came."""
        low, high = self._average(observation.lows), self._average(observation.highs)
        if not symmetric or observation.low >= 0:
            return low, high
        pairs = zip(observation.lows, observation.highs, strict=True)
        moving_max = self._average([max(-low, high) for low, high in pairs])
        return max(observation.low, -moving_max), min(observation.high, moving_max)

    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """The extremes of each row: weights come in one batch."""
        return rows.amin(1), rows.amax(1)

    def _average(self, extremes: Sequence[float]) -> float:
        if not extremes:
            return 0.0
        x = torch.tensor(extremes, dtype=torch.float64)
        age = torch.arange(len(x) - 1, -1, -1, dtype=torch.float64)
        shares = (1 - self.momentum) * torch.pow(self.momentum, age)
        shares[0] = self.momentum ** (len(x) - 1)
        return (shares @ x).item()
