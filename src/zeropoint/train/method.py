"""How a grid follows the data during training.

    LearnedStep     scale and zero point are parameters                Esser et al. 2020
    MovingRange     a moving average of each batch's extremes          Jacob et al. 2018
    CurrentRange    the extremes of the weights as they are, every step

A method makes a fake quantizer for each value, which begins on the grid of the plan.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, broadcast
from zeropoint.train.straight_through import Range, fake_quantize, whole


@dataclass(frozen=True)
class Start:
    """The grid that training begins on.

    `mean_magnitude` is the mean |x| of the data: () for an activation, as the scale for a weight.
    `one_sided` says that all data were of one sign, as behind a ReLU.
    """

    params: QParams
    symmetric: bool
    mean_magnitude: Tensor
    is_weight: bool = False
    one_sided: bool = False

    @property
    def fixed_zero_point(self) -> int | None:
        """The zero point if it never moves: on symmetric grids, and where data are one-sided."""
        return fixed(self.params.zero_point, self.params.type, self.symmetric, self.one_sided)


def fixed(zero_point: Tensor, codes: IntegerType, symmetric: bool, one_sided: bool) -> int | None:
    """The one zero point of a symmetric grid, or of one for one-sided data; None for others."""
    zeros = set(zero_point.reshape(-1).tolist())
    if len(zeros) != 1:
        return None
    (zero,) = zeros
    at_an_end = one_sided and zero in (codes.low, codes.high)
    return int(zero) if symmetric or at_an_end else None


class FakeQuantizer(nn.Module, ABC):
    """One grid in training: called with real numbers, it returns those on the grid.

    `widths` is part of the state, so that a checkpoint of another recipe is recognized: bits, sign,
    symmetry. Subclasses end their constructor with `begin(start)`.
    """

    widths: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("widths", torch.zeros(3, dtype=torch.int64))

    def begin(self, start: Start) -> None:
        """Go on from this grid, which may have other bits than the last one."""
        params = start.params
        self.codes, self.axis = params.type, params.axis
        self.symmetric, self.fixed_zero_point = start.symmetric, start.fixed_zero_point
        self.low, self.high = params.low if self.symmetric else self.codes.low, params.high
        self.widths.copy_(torch.tensor([self.codes.bits, self.codes.signed, self.symmetric]))
        self.restart(start)

    @abstractmethod
    def restart(self, start: Start) -> None:
        """Take scale and zero point from the start; bits and bounds are set already."""

    @abstractmethod
    def grid(self, x: Tensor) -> QParams:
        """The grid as it is now, on the CPU, without gradients; `x` is the weight, if it is one."""

    @abstractmethod
    def forward(self, x: Tensor, *, after_relu: bool = False) -> Tensor:
        """The real numbers on the grid, with gradients straight through the rounding.

        `after_relu`: a ReLU in front is left to the clamp (`covers_relu` must hold).
        """

    @property
    def covers_relu(self) -> bool:
        """True if clamping to the grid is a ReLU: its lowest code is zero."""
        return self.fixed_zero_point == self.low

    def on_grid(
        self, x: Tensor, scale: Tensor, zero_point: int | Tensor, *, after_relu: bool
    ) -> Tensor:
        """fake_quantize() with parameters along this grid's axis."""
        bounds = whole(self._lowest(zero_point), self.high)
        if after_relu:
            bounds = Range(self.low, self.high, float(self.low), bounds.ceiling)
        scale = broadcast(scale, x.ndim, self.axis)
        if isinstance(zero_point, Tensor):
            zero_point = broadcast(zero_point, x.ndim, self.axis)
        return fake_quantize(x, scale, zero_point, bounds)

    def _lowest(self, zero_point: int | Tensor) -> int:
        """The lowest code in use: around zero a signed grid leaves one out (QParams.low)."""
        if self.symmetric or not self.codes.signed:
            return self.low
        away = zero_point != 0 if isinstance(zero_point, int) else bool(zero_point.any())
        return self.codes.low if away else -self.high

    def extra_repr(self) -> str:
        return str(self.codes)


class Method(ABC):
    """Makes fake quantizers. Subclasses are frozen dataclasses."""

    for_weights: ClassVar[bool] = True
    for_activations: ClassVar[bool] = True

    @abstractmethod
    def quantizer(self, start: Start) -> FakeQuantizer:
        """A fake quantizer that begins on this grid."""


def frozen(scale: Tensor, zero_point: Tensor, quantizer: FakeQuantizer) -> QParams:
    """Parameters as a plan has them: float32 and int32, on the CPU."""
    return QParams(
        scale.detach().to("cpu", torch.float32).clone(),
        zero_point.detach().to("cpu", torch.float32).round().to(torch.int32),
        quantizer.codes,
        quantizer.axis,
    )
