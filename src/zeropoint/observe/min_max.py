"""The whole range of the data: nothing is clipped, and one outlier widens every step."""

from dataclasses import dataclass

from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.observation import Observation


@dataclass(frozen=True)
class MinMax(Calibrator):
    """[min x, max x]."""

    def from_observation(
        self, observation: Observation, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """The exact extremes, not the edges of their bins."""
        return observation.low, observation.high

    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """The extremes of each row."""
        return rows.amin(1), rows.amax(1)
