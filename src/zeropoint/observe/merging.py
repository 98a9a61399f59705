"""Observations of several processes as one: each looks at its share of the data.

Histograms add up exactly, so two processes with half the data each come to the plan of one process
with all of it. Only the order of the batches is another one, which moving averages remember. Sums
of channels add up in float64, in the order of the processes.
"""

from array import array
from collections.abc import Mapping

import torch
from torch import Tensor

from zeropoint.distributed import gathered, processes
from zeropoint.observe.histogram import Histogram
from zeropoint.observe.observation import Observation


def merged(observations: Mapping[str, Observation]) -> dict[str, Observation]:
    """What all processes have observed, the same in each; they must observe the same values."""
    if processes() == 1:
        return dict(observations)
    return {name: _of_all(observation) for name, observation in observations.items()}


def _of_all(observation: Observation) -> Observation:
    histogram, total = observation.histogram, Observation()
    integers = torch.tensor([histogram.exponent, histogram.first, histogram.zeros])
    ends = torch.tensor([[histogram.low, histogram.high]], dtype=torch.float64)
    extremes = (
        torch.tensor([observation.lows.tolist(), observation.highs.tolist()]).reshape(2, -1).T
    )
    parts = (integers, histogram.counts, ends, extremes.to(torch.float64))
    for numbers, counts, range, extremes in zip(*map(gathered, parts), strict=True):
        total.merge(_observation(numbers, counts, range, extremes))
    for axis in observation.axes:
        total.sums[axis] = sum_of_all(observation, axis)
    return total


def sum_of_all(observation: Observation, axis: int) -> Tensor:
    """The sums of an axis over all processes; one that has seen nothing has none to add."""
    own = observation.sums.get(axis, torch.zeros(0, dtype=torch.float64))
    return torch.stack([part for part in gathered(own) if len(part)]).sum(0)


def _observation(numbers: Tensor, counts: Tensor, range: Tensor, bounds: Tensor) -> Observation:
    exponent, first, zeros = numbers.tolist()
    low, high = range[0].tolist()
    lows, highs = (array("f", column) for column in bounds.T.tolist())
    return Observation(Histogram(low, high, exponent, first, counts.clone(), zeros), lows, highs)
