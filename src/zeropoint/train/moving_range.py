"""Moving ranges: the grid covers a moving average of each batch's least and greatest element.

    low  = momentum low  + (1 - momentum) min(x)          high alike

Jacob et al. 2018, section 3.1; momentum 0.99 in the article of `studies/qat_cifar10`. Ranges move
in training only, after the step that saw the data, and by what all processes have seen. The grid is
recomputed from the range, so zero is always on it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.observe.calibrator import grid_over
from zeropoint.train.method import FakeQuantizer, Method, Start, fixed, frozen


@dataclass(frozen=True)
class MovingRange(Method):
    """A moving average of the extremes of an activation."""

    for_weights = False

    momentum: float = 0.99

    def quantizer(self, start: Start) -> FakeQuantizer:
        """A fake quantizer that begins on this grid."""
        return MovingGrid(start, self.momentum)


class MovingGrid(FakeQuantizer):
    """A grid over `ends`, which moves towards what is seen until it is told to stop."""

    ends: Tensor
    scale: Tensor
    zero_point: Tensor

    def __init__(self, start: Start, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.seen: Tensor | None = None
        """(-min, max) over what this step has seen so far; None where the range does not move."""
        self.moves = True
        self.register_buffer("ends", torch.zeros(2))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("zero_point", torch.zeros(()))
        self.register_load_state_dict_post_hook(_settle)  # type: ignore[no-untyped-call]  # torch's
        self.begin(start)

    def restart(self, start: Start) -> None:
        """Cover what the calibrated grid covers."""
        low, high = start.params.real_range
        self.ends.copy_(torch.stack([low, high]))
        self._set(start.params)

    def grid(self, x: Tensor) -> QParams:
        """The grid as it is now."""
        return frozen(self.scale, self.zero_point, self)

    def forward(self, x: Tensor, *, after_relu: bool = False) -> Tensor:
        """The real numbers on the grid; their extremes are noted for `move`."""
        if self.training and self.moves:
            self._note(x.detach(), after_relu=after_relu)
        zero_point = self.zero_point if self.fixed_zero_point is None else self.fixed_zero_point
        return self.on_grid(x, self.scale.clone(), zero_point, after_relu=after_relu)

    def move(self, seen: Tensor) -> None:
        """One step of the moving average towards (-min, max)."""
        low = seen[0].neg().clamp(max=0.0)
        latest = torch.stack([low, seen[1].clamp(min=0.0)]).to(self.ends.dtype)
        self.ends.mul_(self.momentum).add_(latest, alpha=1 - self.momentum)
        low, high = self.ends.to("cpu", torch.float64)
        self._set(grid_over(low, high, self.codes, self.symmetric))

    def _note(self, x: Tensor, *, after_relu: bool) -> None:
        least = x.new_zeros(()) if after_relu else x.amin()
        extremes = torch.stack([least.neg(), x.amax()]).to(torch.float32)
        self.seen = extremes if self.seen is None else torch.maximum(self.seen, extremes)

    def _set(self, params: QParams) -> None:
        self.scale.copy_(params.scale)
        self.zero_point.copy_(params.zero_point)
        self.settle()

    def settle(self) -> None:
        """Data that were one-sided at first may be so no longer, or the state was another's."""
        self.fixed_zero_point = fixed(self.zero_point, self.codes, self.symmetric, one_sided=True)


def _settle(grid: MovingGrid, keys: object) -> None:
    grid.settle()
