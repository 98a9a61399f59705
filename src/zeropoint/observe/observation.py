"""What is kept of a value over all batches: a histogram, and the extremes of each batch in order.

The histogram does not know the order of the data, so the extremes are what a moving average is made
of, with any momentum, after the pass. Memory is fixed: the last BATCHES batches are kept, and a
moving average has long forgotten the others (0.99^4096 = 1e-18).
"""

from array import array
from dataclasses import dataclass, field

from torch import Tensor

from zeropoint.observe.histogram import Histogram

BATCHES = 4096


@dataclass
class Observation:
    """A histogram of everything, and the least and greatest element of each of the last batches."""

    histogram: Histogram = field(default_factory=Histogram)
    lows: "array[float]" = field(default_factory=lambda: array("f"))
    highs: "array[float]" = field(default_factory=lambda: array("f"))

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
        if extremes is not None:
            self._append(array("f", extremes[:1]), array("f", extremes[1:]))

    def merge(self, other: "Observation") -> None:
        """Add what another observation has seen, as if its batches had come after."""
        self.histogram.merge(other.histogram)
        self._append(other.lows, other.highs)

    def _append(self, lows: "array[float]", highs: "array[float]") -> None:
        self.lows.extend(lows)
        self.highs.extend(highs)
        del self.lows[:-BATCHES], self.highs[:-BATCHES]
