"""A histogram of fixed size that takes data of any range, one pass, in any order.

    bin i counts the x with  i w <= x < (i + 1) w,   w = 2^k,   i in [first, first + BINS)

Exact zeros are counted besides: every grid holds zero, so they are the elements without an error.

k is the least exponent for which the data seen so far fit into BINS bins and float32 holds every
index exactly. Widths are powers of two and zero is an edge, so widening merges neighbours exactly:
the counts depend on the data alone, not on how they were cut into batches, and two histograms of
two halves add up to that of the whole.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

BINS = 4096
FINEST = -120
"""The least exponent: products with 2^-k must not overflow float32."""

INDEX_BITS = 23
"""|i| <= 2^23: data far from zero and close together get no bins finer than float32 itself."""

WIDEST_UNSCALED = 115
"""Data below 2^115 can be multiplied by BINS, as histc does, without overflow."""

CHUNK = 1 << 20
"""Elements counted at once: float32 counters are exact below 2^24, and scratch stays in cache."""


class NotFinite(ValueError):
    """The data hold NaN or infinity."""


@dataclass
class Histogram:
    """Counts (BINS,), the least and greatest element, and how many elements are exactly zero."""

    low: float = math.inf
    high: float = -math.inf
    exponent: int = FINEST
    first: int = 0
    counts: Tensor = field(default_factory=lambda: torch.zeros(BINS, dtype=torch.int64))
    zeros: int = 0

    @property
    def width(self) -> float:
        """w, the width of a bin."""
        return 2.0**self.exponent

    @property
    def total(self) -> int:
        """How many elements were counted."""
        return int(self.counts.sum())

    def centres(self) -> Tensor:
        """The middle of each bin, float64 (BINS,), pulled into the range of the data."""
        middle = (torch.arange(BINS, dtype=torch.float64) + self.first + 0.5) * self.width
        return middle.clamp(self.low, self.high)

    def edges(self) -> Tensor:
        """Where the bins begin and the last one ends, float64 (BINS + 1,)."""
        return (torch.arange(BINS + 1, dtype=torch.float64) + self.first) * self.width

    def add(self, x: Tensor) -> tuple[float, float] | None:
        """Count the elements of x (float32, any shape); NotFinite if one is NaN or infinite.

        Returns the least and the greatest of them, None if there are none.
        """
        flat = _flat(x.detach())
        if flat.numel() == 0:
            return None
        low, high = (bound.item() for bound in torch.aminmax(flat))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise NotFinite
        self._make_room(min(self.low, low), max(self.high, high))
        for part in torch.split(flat, CHUNK):
            self.counts += _count(part, self.exponent, self.first)
            if low <= 0.0 <= high:
                self.zeros += _zeros(part)
        return low, high

    def merge(self, other: "Histogram") -> None:
        """Add what another histogram has counted."""
        if other.low > other.high:
            return
        self._make_room(min(self.low, other.low), max(self.high, other.high))
        self.counts += _placed(other, self.exponent, self.first)
        self.zeros += other.zeros

    def folded(self) -> "Histogram":
        """The histogram of |x|. An element on an edge may be counted one bin lower."""
        if self.low >= 0:
            return self
        index = torch.arange(BINS, dtype=torch.int64) + self.first
        mirrored = torch.where(index < 0, -1 - index, index)
        filled = self.counts > 0
        first = int(mirrored[filled].min())
        counts = torch.zeros(BINS, dtype=torch.int64)
        counts.index_add_(0, mirrored[filled] - first, self.counts[filled])
        low, high = max(-self.high, 0.0), max(-self.low, self.high)
        return Histogram(low, high, self.exponent, first, counts, self.zeros)

    def _make_room(self, low: float, high: float) -> None:
        """Widen the bins until [low, high] fits, and start them at the bin of `low`."""
        if low == self.low and high == self.high:
            return
        exponent = _exponent(low, high)
        first = math.floor(low / 2.0**exponent)
        if self.low <= self.high:
            self.counts = _placed(self, exponent, first)
        self.low, self.high, self.exponent, self.first = low, high, exponent, first


def _flat(x: Tensor) -> Tensor:
    """The elements as one dimension, without a copy for either memory format."""
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x.permute(0, 2, 3, 1).reshape(-1)
    return x.reshape(-1)


def _count(part: Tensor, exponent: int, first: int) -> Tensor:
    if first == 0 and exponent + BINS.bit_length() - 1 <= WIDEST_UNSCALED:
        # Nothing to subtract inside histc, so nothing to lose: powers of two are exact factors.
        return torch.histc(part, BINS, 0, BINS * 2.0**exponent).to(torch.int64)
    index = (part * 2.0**-exponent).floor_()  # exact as well, and the rest are integers
    if exponent > 0:
        index[(index == 0) & (part < 0)] = -1  # a product too small for float32 became zero
    return torch.histc(index, BINS, first, first + BINS).to(torch.int64)


def _zeros(part: Tensor) -> int:
    # numpy counts ten times as fast as torch.count_nonzero.
    return part.numel() - int(np.count_nonzero(part.numpy()))


def _exponent(low: float, high: float) -> int:
    """The least k for which bins of width 2^k from that of low to that of high are BINS at most."""
    span, reach = max(high - low, 2.0**FINEST), max(-low, high, 2.0**FINEST)
    exponent = max(math.frexp(span / BINS)[1] - 1, math.frexp(reach)[1] - INDEX_BITS, FINEST)
    while math.floor(high / 2.0**exponent) - math.floor(low / 2.0**exponent) >= BINS:
        exponent += 1
    return exponent


def _placed(histogram: Histogram, exponent: int, first: int) -> Tensor:
    """The counts of a histogram in wider bins that start at `first`."""
    old = torch.arange(BINS, dtype=torch.int64) + histogram.first
    shift = min(exponent - histogram.exponent, 62)  # by 62 bits every index is 0 or -1 already
    new = (old >> shift) - first
    filled = histogram.counts > 0
    counts = torch.zeros(BINS, dtype=torch.int64)
    return counts.index_add_(0, new[filled], histogram.counts[filled])
