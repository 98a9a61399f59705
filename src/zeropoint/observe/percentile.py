"""A share of the data, whatever the rest is worth: its tails are clipped.

    affine, two signs    [q(t / 2), q(1 - t / 2)]    t = 1 - percentile / 100, q the quantiles of x
    affine, one sign     [0, q(1 - t)]
    symmetric            [-m, m], m the percentile of |x|

q(p) is the least number that a share p of all data do not exceed: of the whole histogram, not an
average over batches. 99.99 and 99.999 are usual, and 99.9 clips too much for most networks (Wu et
al., arXiv:2004.09602).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.errors import RecipeError
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.histogram import Histogram
from zeropoint.observe.observation import Observation


@dataclass(frozen=True)
class Percentile(Calibrator):
    """The range that holds so many percent of the data."""

    percentile: float = 99.99

    def __post_init__(self) -> None:
        if not 0 < self.percentile <= 100:
            raise RecipeError(
                f"percentile={self.percentile!r} is no share of the data in percent; "
                "use more than 0 and at most 100, such as 99.99"
            )

    def from_observation(
        self, observation: Observation, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """Interpolated within the bin in which the share is reached."""
        low, high = observation.low, observation.high
        if observation.total == 0:
            return low, high
        share, histogram = self.percentile / 100, observation.histogram
        if symmetric or low >= 0 or high <= 0:
            reach = _quantile(histogram.folded(), share)
            return max(low, -reach), min(high, reach)
        tail = (1 - share) / 2
        return _quantile(histogram, tail), _quantile(histogram, 1 - tail)

    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """The same for each row, of its elements."""
        share = self.percentile / 100
        low, high = rows.amin(1), rows.amax(1)
        reach = _quantiles(rows.abs(), share)
        from_below, from_above = torch.maximum(low, -reach), torch.minimum(high, reach)
        if symmetric:
            return from_below, from_above
        tail, one_sided = (1 - share) / 2, (low >= 0) | (high <= 0)
        return (
            torch.where(one_sided, from_below, _quantiles(rows, tail)),
            torch.where(one_sided, from_above, _quantiles(rows, 1 - tail)),
        )


def _rank(share: float, count: int) -> int:
    """How many of `count` elements in order are a share of them, 1 at least."""
    # Rounded first: 1 - 0.9999 is not quite 0.0001, and one element more or less is an outlier.
    return min(max(math.ceil(round(share * count, 6)), 1), count)


def _quantile(histogram: Histogram, share: float) -> float:
    rank = _rank(share, histogram.total)
    up_to = histogram.counts.cumsum(0)
    index = int(torch.searchsorted(up_to, rank))
    inside = int(histogram.counts[index])
    part = (rank - int(up_to[index]) + inside) / inside
    value = (histogram.first + index + part) * histogram.width
    return min(max(value, histogram.low), histogram.high)


def _quantiles(rows: Tensor, share: float) -> Tensor:
    return rows.kthvalue(_rank(share, rows.shape[1]), dim=1).values
