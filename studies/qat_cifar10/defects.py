"""The defects of the article's quantizer, each as a method of training that can be switched on.

They are those of the code that the article shows (micronet's `util_wqaq.py` of 2020); the numbers
are those of the post-mortem in README.md. Nothing here belongs into the package.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.observe.calibrator import grid_over
from zeropoint.train.current_range import CurrentGrid
from zeropoint.train.method import FakeQuantizer, Method, Start
from zeropoint.train.moving_range import MovingGrid, MovingRange


@dataclass(frozen=True)
class AllTimeRange(Method):
    """D2: the range of a weight is that of all its values so far, and never shrinks."""

    def quantizer(self, start: Start) -> FakeQuantizer:
        """A fake quantizer for the weight."""
        return AllTimeGrid(start)


class AllTimeGrid(FakeQuantizer):
    """Remembers the extremes of each channel."""

    lows: Tensor
    highs: Tensor

    def __init__(self, start: Start) -> None:
        super().__init__()
        self.register_buffer("lows", torch.zeros_like(start.params.scale))
        self.register_buffer("highs", torch.zeros_like(start.params.scale))
        self.begin(start)

    def restart(self, start: Start) -> None:
        """Nothing was seen yet."""
        self.lows.zero_()
        self.highs.zero_()

    def grid(self, x: Tensor) -> QParams:
        """The grid over all that was ever seen."""
        return grid_over(self.lows, self.highs, self.codes, self.symmetric, self.axis)

    def forward(self, x: Tensor, *, after_relu: bool = False) -> Tensor:
        """The weight on that grid."""
        with torch.no_grad():
            low, high = torch.aminmax(x.reshape(x.shape[0], -1), dim=1)
            self.lows.copy_(torch.minimum(self.lows, low))
            self.highs.copy_(torch.maximum(self.highs, high))
            params = self.grid(x)
        zero_point = params.zero_point if self.fixed_zero_point is None else self.fixed_zero_point
        return self.on_grid(x, params.scale, zero_point, after_relu=after_relu)


@dataclass(frozen=True)
class SignedRange(Method):
    """D7: a signed grid behind a ReLU, of which one half is never used."""

    momentum: float = 0.99

    def quantizer(self, start: Start) -> FakeQuantizer:
        """The positive half of the grid is one of a bit less."""
        params = start.params
        one_sided = start.fixed_zero_point == params.type.low
        if not one_sided:
            return MovingRange(self.momentum).quantizer(start)
        type = IntegerType(params.type.bits - 1, signed=False)
        scale = params.scale.item() * params.type.high / type.high
        half = per_tensor(scale, 0, type)
        return MovingGrid(replace(start, params=half), self.momentum)


@dataclass(frozen=True)
class RangeWithoutZero(Method):
    """D5: an affine grid over [min, max] of each channel as it is, zero on it or not."""

    def quantizer(self, start: Start) -> FakeQuantizer:
        """A fake quantizer for the weight."""
        return GridWithoutZero(start)


class GridWithoutZero(CurrentGrid):
    """Rounds to min + k (max - min) / (2^bits - 1); straight through."""

    def forward(self, x: Tensor, *, after_relu: bool = False) -> Tensor:
        """The weight on a grid that integers cannot stand for."""
        with torch.no_grad():
            rows = x.reshape(x.shape[0], -1)
            low, high = torch.aminmax(rows, dim=1, keepdim=True)
            step = (high - low).clamp(min=1e-12) / (2**self.codes.bits - 1)
            rounded = (low + ((rows - low) / step).round() * step).reshape(x.shape)
        straight: Tensor = x + (rounded - x).detach()
        return straight
