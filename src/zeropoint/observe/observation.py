"""What is kept of a value over all batches: a histogram, and the extremes of each batch in order.

The histogram does not know the order of the data, so the extremes are what a moving average is made
of, with any momentum, after the pass. Memory is fixed: the last BATCHES batches are kept, and a
moving average has long forgotten the others (0.99^4096 = 1e-18).

Of what a layer with weights reads, the sums of its channels are kept besides: their means tell what
the rounding of the weights shifts.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zeropoint.observe.histogram import Histogram

BATCHES = 4096


@dataclass
class Observation:
    """A histogram of everything, and the least and greatest element of each of the last batches.

    `sums` are float64, a number for each channel, by the axis along which the channels are.
    """

    histogram: Histogram = field(default_factory=Histogram)
    lows: "array[float]" = field(default_factory=lambda: array("f"))
    highs: "array[float]" = field(default_factory=lambda: array("f"))
    axes: Sequence[int] = ()
    sums: dict[int, Tensor] = field(default_factory=dict)

    @property
    def low(self) -> float:
        """The least element; 0 if nothing was seen."""
        return self.histogram.low if self.lows else 0.0

    @property
    def high(self) -> float:
        """The greatest element; 0 if nothing was seen."""
        return self.histogram.high if self.highs else 0.0

    @property
    def total(self) -> int:
        """How many elements were seen."""
        return self.histogram.total

    def add(self, x: Tensor) -> None:
        """Look at a batch (float32, any shape); NotFinite if it holds NaN or infinity."""
        extremes = self.histogram.add(x)
        if extremes is None:
            return
        self._append(array("f", extremes[:1]), array("f", extremes[1:]))
        for axis in self.axes:
            self._count(axis, channel_sums(x, axis))

    def means(self, axis: int) -> Tensor | None:
        """The mean of each channel along an axis, float32; None if it was not observed."""
        found = self.sums.get(axis)
        if found is None:
            return None
        return (found * (len(found) / self.total)).float()

    def merge(self, other: "Observation") -> None:
        """Add what another observation has seen, as if its batches had come after."""
        self.histogram.merge(other.histogram)
        self._append(other.lows, other.highs)
        for axis, sums in other.sums.items():
            self._count(axis, sums)

    def _count(self, axis: int, sums: Tensor) -> None:
        self.sums[axis] = self.sums[axis] + sums if axis in self.sums else sums

    def _append(self, lows: "array[float]", highs: "array[float]") -> None:
        self.lows.extend(lows)
        self.highs.extend(highs)
        del self.lows[:-BATCHES], self.highs[:-BATCHES]


def channel_sums(x: Tensor, axis: int) -> Tensor:
    """The sum of each channel, float64 (C,), on the CPU; samples are summed up in float32 first."""
    others = [other for other in range(1, x.ndim) if other != axis % x.ndim]
    rows = x.detach().sum(others) if others else x.detach()  # (N, C)
    return rows.sum(0, dtype=torch.float64).cpu()
