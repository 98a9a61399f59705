"""The range whose rounded histogram is least unlike the real one: what TensorRT calibrates by.

    argmin over [low, high]  of  KL(P || Q) = sum P log(P / Q)

    P  the bins within the range, those beyond it added to the last: what clipping does
    Q  the bins within the range alone, in as many groups as there are levels, the mass of each
       group spread evenly over its bins that are not empty: what rounding does

both divided by their sums. The outliers are in P and not in Q: that is the price of clipping. A
range whose last bin is empty although something lies beyond has an infinite divergence, and so has
one that clips but holds no more filled bins than there are levels. Exact zeros
are left out: after a ReLU they are most of the data, cost nothing on any grid, and would drive the
range down to a fraction of what it should be.

One end varies for symmetric data (|x|, half of the levels) and for data of one sign; both do for
affine data of two signs: together first, then each alone. The divergence knows nothing of how large
an error is: choose this for parity with other tools.

Migacz, 8-bit Inference with TensorRT, GTC 2017.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.histogram import Histogram
from zeropoint.observe.observation import Observation

STEPS, ROUNDS = 256, 2
"""Candidates for each of two ends, and how often each end is chosen anew."""

BINS_OF_ROW, CANDIDATES_OF_ROW = 1024, 64
CHUNK = 1 << 20
"""Numbers in a piece of work."""


@dataclass(frozen=True)
class Entropy(Calibrator):
    """The range of least Kullback-Leibler divergence."""

    def from_observation(
        self, observation: Observation, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """Every bin is a candidate for the end of the range."""
        low, high = observation.low, observation.high
        if observation.total == observation.histogram.zeros:
            return low, high
        if symmetric and low < 0:
            reach = _reach(observation.histogram.folded(), 1 << (type.bits - 1))
        elif low >= 0 or high <= 0:
            reach = _reach(observation.histogram.folded(), 1 << type.bits)
        else:
            return _two_ends(observation.histogram, 1 << type.bits)
        return max(low, -reach), min(high, reach)

    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """On the absolute values of each row, in 1024 bins and with half of the levels."""
        low, high = rows.amin(1), rows.amax(1)
        reach = rows.abs().amax(1)
        levels = 1 << (type.bits - 1)
        stops = torch.linspace(levels, BINS_OF_ROW, CANDIDATES_OF_ROW).to(torch.int64)
        pieces = torch.split(rows, max(CHUNK // (CANDIDATES_OF_ROW * levels), 1))
        shares = [
            stops[_divergence(_counts(x), 0 * stops, stops, levels).argmin(1)] for x in pieces
        ]
        reach = reach * (torch.cat(shares) / BINS_OF_ROW).to(rows.dtype)
        return torch.maximum(low, -reach), torch.minimum(high, reach)


def _reach(histogram: Histogram, levels: int) -> float:
    """Where data that are not negative are clipped: the upper edge of the last bin kept."""
    counts, zero = _without_zeros(histogram), -histogram.first
    first, last = (int(index) for index in counts.nonzero().aminmax())
    # Of fewer bins than levels nothing is rounded, and a single one would not diverge at all.
    stops = torch.arange(min(max(zero, first) + levels, last + 1), last + 1)
    stops = torch.cat([stops[counts[stops - 1] > 0], torch.tensor([last + 1])])
    best = stops[_divergence(counts[None], torch.full_like(stops, zero), stops, levels).argmin()]
    return min((histogram.first + int(best)) * histogram.width, histogram.high)


def _two_ends(histogram: Histogram, levels: int) -> tuple[float, float]:
    """The edges of the bins between which data of two signs are kept."""
    counts, zero = _without_zeros(histogram), -histogram.first
    filled = counts.nonzero().flatten()
    starts = _spaced(zero - 1 - filled[filled < zero].flip(0))
    stops = _spaced(filled[filled >= zero] - zero)
    starts, stops = zero - 1 - starts, zero + 1 + stops  # the first of each keeps everything
    if stops[0] - starts[0] < levels:
        return histogram.low, histogram.high

    def best(starts: Tensor, stops: Tensor) -> tuple[Tensor, Tensor]:
        index = _divergence(counts[None], starts, stops, levels).argmin()
        return starts[index], stops[index]

    start, stop = best(starts, stops)
    for _ in range(ROUNDS):
        start, stop = best(start.expand(STEPS), stops)
        start, stop = best(starts, stop.expand(STEPS))
    low, high = ((histogram.first + int(edge)) * histogram.width for edge in (start, stop))
    return max(low, histogram.low), min(high, histogram.high)


def _spaced(distances: Tensor) -> Tensor:
    """STEPS of the distances (ascending) to the bins that are not empty, the farthest first."""
    wanted = torch.linspace(float(distances[-1]), 0.0, STEPS)
    return distances[torch.searchsorted(distances, wanted.to(torch.int64))]


def _without_zeros(histogram: Histogram) -> Tensor:
    counts = histogram.counts.to(torch.float64)
    if histogram.zeros:
        counts[-histogram.first] -= histogram.zeros
    return counts


def _counts(rows: Tensor) -> Tensor:
    """How often the absolute values of each row (R, K) lie in each of BINS_OF_ROW bins, float64."""
    x = rows.abs().to(torch.float64)
    bins = (
        (x / x.amax(1, keepdim=True) * BINS_OF_ROW).nan_to_num_().long().clamp_(max=BINS_OF_ROW - 1)
    )
    counts = x.new_zeros(len(x), BINS_OF_ROW)
    return counts.scatter_add_(1, bins, (x != 0).to(x.dtype))


def _divergence(counts: Tensor, starts: Tensor, stops: Tensor, levels: int) -> Tensor:
    """KL(P || Q) of each row of counts (R, B) for each range of bins [start, stop): (R, C)."""
    sums = _Sums(
        counts,
        mass=_running_sum(counts),
        filled=_running_sum((counts > 0).to(counts.dtype)),
        mass_log_mass=_running_sum(counts.xlogy(counts)),
    )
    size = max(CHUNK // (len(counts) * levels), 1)
    parts = zip(torch.split(starts, size), torch.split(stops, size), strict=True)
    return torch.cat([sums.divergence(*part, levels) for part in parts], dim=1)


@dataclass(frozen=True)
class _Sums:
    """Counts (R, B), and running sums (R, B + 1) from which any range of bins is a difference."""

    counts: Tensor
    mass: Tensor
    filled: Tensor
    mass_log_mass: Tensor

    def divergence(self, starts: Tensor, stops: Tensor, levels: int) -> Tensor:
        """KL(P || Q) for a few ranges: sum P log P - sum P log Q, a group of bins at a time."""
        bins = self.counts.shape[1]
        edges = torch.arange(levels + 1) * (stops - starts)[:, None] // levels + starts[:, None]
        edges.clamp_(0, bins)  # (C, levels + 1); between zero and data far from it are no bins
        groups = self.mass[:, edges].diff()  # (R, C, levels)
        spread = groups / self.filled[:, edges].diff().clamp_(min=1.0)
        begin, end = edges[:, 0], edges[:, -1]
        first, last = self.counts[:, begin.clamp(max=bins - 1)], self.counts[:, end - 1]
        total = self.mass[:, -1:]
        below, above = self.mass[:, begin], total - self.mass[:, end]
        inside = total - below - above
        own = self.mass_log_mass[:, end] - self.mass_log_mass[:, begin]
        own += _grown(first, below) + _grown(last, above)
        cross = groups.xlogy(spread).sum(2)
        cross += below.xlogy(spread[..., 0]) + above.xlogy(spread[..., -1])
        divergence = (own - cross) / total + (inside / total).log()
        lost = ((below > 0) & (first == 0)) | ((above > 0) & (last == 0)) | (inside == 0)
        # Of fewer filled bins than levels nothing is rounded: the divergence would see no price.
        filled = self.filled[:, end] - self.filled[:, begin]
        lost |= (filled <= levels) & (below + above > 0)
        return divergence.masked_fill_(lost, torch.inf)


def _running_sum(x: Tensor) -> Tensor:
    return torch.nn.functional.pad(x.cumsum(1), (1, 0))


def _grown(mass: Tensor, added: Tensor) -> Tensor:
    """By how much x log x of a mass grows."""
    grown = mass + added
    return grown.xlogy(grown) - mass.xlogy(mass)
