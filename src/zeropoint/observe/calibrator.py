"""What a calibrator is: the choice of a range, from an observation or from rows of weights."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, asymmetric, symmetric
from zeropoint.observe.observation import Observation


class Calibrator(ABC):
    """Chooses the range [low, high] that a grid covers; whatever lies outside is clipped.

    Subclasses are frozen dataclasses. Each returns finite ranges for any data.
    """

    @abstractmethod
    def from_observation(
        self, observation: Observation, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """The range for an activation that was observed."""

    @abstractmethod
    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """The ranges (R,) for weights as rows (R, K): a row is a channel, or the whole tensor."""


def grid_over(
    low: Tensor, high: Tensor, type: IntegerType, is_symmetric: bool, axis: int | None = None
) -> QParams:
    """The symmetric or the affine grid over a range."""
    over = symmetric if is_symmetric else asymmetric
    return over(low, high, type, axis)


def grid_of(
    calibrator: Calibrator, observation: Observation, type: IntegerType, is_symmetric: bool
) -> QParams:
    """The grid over the range that a calibrator chooses for an activation."""
    low, high = calibrator.from_observation(observation, type, is_symmetric)
    return grid_over(scalar(low), scalar(high), type, is_symmetric)


def scalar(value: float) -> Tensor:
    """A float64 tensor of shape ()."""
    return torch.tensor(value, dtype=torch.float64)
