"""Current ranges: a weight's grid covers the weight as it is, recomputed in every step.

    s = max|w| / high        symmetric; else the affine grid over [min w, max w]

Nothing is clipped, and a range shrinks with its weight. (One that never shrinks is a known defect:
`studies/qat_cifar10`.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.observe.calibrator import grid_over
from zeropoint.train.method import FakeQuantizer, Method, Start


@dataclass(frozen=True)
class CurrentRange(Method):
    """The extremes of a weight."""

    for_activations = False

    def quantizer(self, start: Start) -> FakeQuantizer:
        """A fake quantizer for the weight."""
        return CurrentGrid(start)


class CurrentGrid(FakeQuantizer):
    """A grid without a state."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        self.begin(start)

    def restart(self, start: Start) -> None:
        """Nothing is kept."""

    def grid(self, x: Tensor) -> QParams:
        """The grid over x."""
        return self._over(x.detach().to("cpu"))

    def forward(self, x: Tensor, *, after_relu: bool = False) -> Tensor:
        """The weight on its grid."""
        with torch.no_grad():
            params = self._over(x)
        zero_point = 0 if self.symmetric else params.zero_point
        scale = params.scale.to(x.dtype)
        return self.on_grid(x, scale, zero_point, after_relu=after_relu)

    def _over(self, x: Tensor) -> QParams:
        rows = x.reshape(1 if self.axis is None else x.shape[self.axis], -1)
        low, high = torch.aminmax(rows, dim=1)
        if self.axis is None:
            low, high = low[0], high[0]
        return grid_over(low, high, self.codes, self.symmetric, self.axis)
