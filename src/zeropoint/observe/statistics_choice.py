"""What a calibrator makes of one activation, and how good that is."""

import math
from dataclasses import dataclass

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.observe.calibrator import Calibrator, grid_over, scalar
from zeropoint.observe.error import simulated_sqnr
from zeropoint.observe.observation import Observation


@dataclass(frozen=True)
class Choice:
    """The range that a calibrator chooses, and the simulated SQNR on its grid in decibels."""

    low: float
    high: float
    sqnr_db: float

    def to_dict(self) -> dict[str, float | None]:
        """The same as JSON data; None for infinite decibels."""
        decibels = self.sqnr_db if math.isfinite(self.sqnr_db) else None
        return {"low": self.low, "high": self.high, "sqnr_db": decibels}


def choice_of(
    calibrator: Calibrator, observation: Observation, type: IntegerType, symmetric: bool
) -> Choice:
    """The range for an observation, and the SQNR that its data then have."""
    low, high = calibrator.from_observation(observation, type, symmetric)
    grid = grid_over(scalar(low), scalar(high), type, symmetric)
    return Choice(low, high, simulated_sqnr(observation, grid))
