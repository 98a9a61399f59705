"""Learned steps: the scale of every grid is a parameter, and the zero point of two-sided ones.

Esser et al. 2020 ("Learned step size quantization"), with the offset of Bhalgat et al. 2020 for
signed activations. The gradient of the scale is multiplied by 1 / sqrt(N high) (section 2.2), where
N counts the elements of one image's activation, of a weight, or of its channel if each has a scale.

The parameter is the relative change of the scale since training began, not the scale:

    s = s_0 (1 + change)        z = round(z_0 + shift)

Its gradient is that of s divided by s_0, times `pace`. SGD on s changes it by a share that grows
with 1 / s^2, and the damping keeps that in step with the weights from the paper's start s_p on
(section 2.2, R = 1). A calibrated 8-bit grid is some 8 times finer than s_p: one clipped weight
would move its scale by a tenth in a step. So the share is made that at the paper's start:

    s_p = 2 mean|x| / sqrt(high)        pace = min(1, (s_0 / s_p)^2)

Where training begins at s_p, SGD moves the scale as in the paper. Beyond that, Adam's steps of
equal size are small against every scale, and weight decay draws towards the calibrated grid instead
of towards zero.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zeropoint.arithmetic.qparams import QParams
from zeropoint.train.method import FakeQuantizer, Method, Start, fixed, frozen

LEAST_SHARE = 1 / 64
"""The scale stays positive: at least this share of the one that training began with."""

MOST_UNUSED = 2.0
"""From `calibrated_bits` on the scale of a weight is at most so many times what covers it all.

Beyond, it only loses precision; where one step of the optimizer throws it far beyond, all of the
weight rounds to zero, and nothing is left that could bring it back. Weights that batch norms
normalize are thrown so when they are young: their gradients go with 1 / |w|.
"""


@dataclass(frozen=True)
class LearnedStep(Method):
    """Scale (and zero point) as parameters.

    Grids of at least `calibrated_bits` bits begin where the plan's calibrator put them; those of
    fewer bits at 2 mean|x| / sqrt(high), as in section 3 of the paper. At 8 bits the paper's start
    would clip a good part of the data.
    """

    calibrated_bits: int = 5

    def quantizer(self, start: Start) -> FakeQuantizer:
        """A fake quantizer that begins on this grid."""
        return LearnedGrid(start, self.calibrated_bits)


class LearnedGrid(FakeQuantizer):
    """A grid whose parameters are `change` and, on two-sided affine grids, `shift`."""

    initial: Tensor
    initial_zero_point: Tensor
    pace: Tensor

    def __init__(self, start: Start, calibrated_bits: int) -> None:
        super().__init__()
        self._calibrated_bits = calibrated_bits
        scale = start.params.scale
        self.register_buffer("initial", torch.ones_like(scale))
        self.register_buffer("initial_zero_point", torch.zeros_like(scale))
        self.register_buffer("pace", torch.ones_like(scale))
        self.change = nn.Parameter(torch.zeros_like(scale))
        moves = start.fixed_zero_point is None and start.params.axis is None
        self.shift = nn.Parameter(torch.zeros_like(scale)) if moves else None
        self.register_load_state_dict_post_hook(_settle)  # type: ignore[no-untyped-call]  # torch's
        self.begin(start)

    def restart(self, start: Start) -> None:
        """Take scale and zero point from the start, by the paper's rule at few bits."""
        scale, magnitude = start.params.scale, start.mean_magnitude.to(torch.float32)
        papers = torch.where(magnitude > 0, 2 * magnitude / start.params.high**0.5, scale)
        if start.params.type.bits < self._calibrated_bits:
            scale = papers
        with torch.no_grad():
            self.initial.copy_(scale)
            self.pace.copy_((scale / papers).square().clamp(max=1.0))
            self.initial_zero_point.copy_(start.params.zero_point)
            self.change.zero_()
            if self.shift is not None:
                self.shift.zero_()
        self._is_bounded = start.is_weight and start.params.type.bits >= self._calibrated_bits
        self._is_whole_weight = start.is_weight and self.axis is None
        self.settle()

    def settle(self) -> None:
        """A zero point that can move is not fixed, whatever it is; the others are the state's."""
        own = fixed(self.initial_zero_point, self.codes, self.symmetric, self.axis is None)
        self.fixed_zero_point = own if self.shift is None else None

    def grid(self, x: Tensor) -> QParams:
        """The grid as it is now."""
        change = self._within(x) if self._is_bounded else self.change
        scale = _scaled(change, self.initial)
        return frozen(scale, self._whole_zero_point(), self)

    def forward(self, x: Tensor, *, after_relu: bool = False) -> Tensor:
        """The real numbers on the grid."""
        if self.training and self._is_bounded:
            with torch.no_grad():
                self.change.copy_(self._within(x))
        count = x.numel() / (1 if self._is_whole_weight else x.shape[self.axis or 0])
        damping = (max(count, 1.0) * self.high) ** -0.5
        zero_point = self.fixed_zero_point
        moving = self._zero_point(damping) if zero_point is None else zero_point
        return self.on_grid(x, self._scale(damping), moving, after_relu=after_relu)

    def _within(self, weight: Tensor) -> Tensor:
        """The change, brought back where it leaves most codes unused."""
        rows = weight.detach().reshape(1 if self.axis is None else weight.shape[0], -1)
        change = self.change.detach()
        low, high = (end.to(change) for end in torch.aminmax(rows, dim=1))
        both = torch.maximum(-low, high)
        span = 2 * both if self.symmetric else high.clamp(min=0) - low.clamp(max=0)
        span = span.reshape(change.shape)
        most = MOST_UNUSED * span / ((self.high - self.low) * self.initial) - 1
        return torch.where(span > 0, torch.minimum(change, most), change)

    def _scale(self, damping: float) -> Tensor:
        scale: Tensor = _Scale.apply(  # type: ignore[no-untyped-call]  # torch's
            self.change, self.initial, damping * self.pace
        )
        return scale

    def _zero_point(self, damping: float) -> Tensor:
        if self.shift is None:
            return self._whole_zero_point()
        scale = self._scale(1.0).detach()
        zero_point: Tensor = _ZeroPoint.apply(  # type: ignore[no-untyped-call]  # torch's
            self.shift, self._whole_zero_point(), damping * self.pace / scale**2
        )
        return zero_point

    def _whole_zero_point(self) -> Tensor:
        shift = 0.0 if self.shift is None else self.shift.detach()
        return (self.initial_zero_point + shift).round().clamp(self.codes.low, self.codes.high)


class _Scale(torch.autograd.Function):
    """s = s_0 (1 + change), a float32 number; the gradient is damped and divided by s_0."""

    @staticmethod
    def forward(ctx: Any, change: Tensor, initial: Tensor, damping: Tensor) -> Tensor:
        ctx.save_for_backward(initial, damping)
        return _scaled(change, initial)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        initial, damping = ctx.saved_tensors
        return gradients[0] * damping / initial, None, None


def _scaled(change: Tensor, initial: Tensor) -> Tensor:
    """In float32 whatever the module's dtype: the program's scale has no more bits."""
    share = (1 + change.to(torch.float32)).clamp(min=LEAST_SHARE)
    return (initial.to(torch.float32) * share).to(initial.dtype)


class _ZeroPoint(torch.autograd.Function):
    """The whole zero point; the gradient is that of the real offset -s z, divided by s as well."""

    @staticmethod
    def forward(ctx: Any, shift: Tensor, whole: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(factor)
        return whole.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (factor,) = ctx.saved_tensors
        return gradients[0] * factor, None, None


def _settle(grid: LearnedGrid, keys: object) -> None:
    grid.settle()
