"""What the plots of one layer are drawn from: a histogram, every calibrator's range, other scales.

Activations are shown in real units. Weights have a scale for each channel, so they are shown
divided by it, in codes: that is where they are rounded, and all channels are alike there.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, broadcast
from zeropoint.observe.best import CALIBRATORS
from zeropoint.observe.error import Density, sqnr_db
from zeropoint.observe.histogram import Histogram
from zeropoint.observe.observation import Observation

BARS = 96
"""The bars of a histogram, at most."""

FACTORS = tuple(2.0 ** (step / 10) for step in range(-20, 21))
"""What a scale is multiplied with: a quarter to four times."""

MOST_WEIGHTS = 1 << 18
"""A sweep over the weights looks at so many of a layer, a fixed step apart."""

MOST_CHANNELS = 16
"""Ranges for weights are those of the median of so many channels."""

IN_USE = "in use"


@dataclass(frozen=True)
class Bars:
    """Counts of equal bins, the first of which begins at `low`."""

    low: float
    width: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Range:
    """What a calibrator would let the grid cover; `chosen` for the one that the grid has."""

    name: str
    calibrator: str
    low: float
    high: float
    chosen: bool


@dataclass(frozen=True)
class Sweep:
    """The SQNR at each factor of the scale."""

    factors: tuple[float, ...]
    sqnr_db: tuple[float, ...]


@dataclass(frozen=True)
class PlotData:
    """The drawings of one tensor; a value that has no grid of its own has only a histogram."""

    shape: tuple[int | str, ...]
    histogram: Bars
    ranges: tuple[Range, ...]
    sweep: Sweep | None

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return asdict(self)


def of_activations(
    observation: Observation,
    grid: QParams | None,
    shape: Sequence[int | str] = (),
    calibrator: str = "",
) -> PlotData:
    """What is drawn of a value that was observed; `calibrator` is what chose its grid, if known."""
    bars = merged(observation.histogram)
    if grid is None or grid.axis is not None:
        return PlotData(tuple(shape), bars, (), None)
    symmetric = int(grid.zero_point) == 1 << (grid.type.bits - 1)
    low, high = (bound.item() for bound in grid.real_range)
    ranges = [Range(IN_USE, calibrator or "the grid of the program", low, high, chosen=True)]
    for each in CALIBRATORS:
        low, high = each.from_observation(observation, grid.type, symmetric)
        ranges.append(Range(type(each).__name__, repr(each), low, high, chosen=False))
    return PlotData(tuple(shape), bars, tuple(ranges), _sweep_of(observation, grid))


def of_weights(weight: Tensor, grid: QParams, calibrator: str = "") -> PlotData:
    """What is drawn of a float weight, in codes of its grid."""
    scale = broadcast(grid.scale, weight.ndim, grid.axis).to(torch.float32)
    codes = weight.detach() / scale
    bars = _histogram(codes.flatten(), grid)
    high = float(grid.high)
    ranges = [Range(IN_USE, calibrator or "the grid of the program", -high, high, chosen=True)]
    rows = _rows(codes, grid)
    for each in CALIBRATORS:
        bound = _median_bound(*each.from_rows(rows, grid.type, True))
        ranges.append(Range(type(each).__name__, repr(each), -bound, bound, chosen=False))
    sweep = _sweep_of_weights(codes, scale, grid)
    return PlotData(tuple(weight.shape), bars, tuple(ranges), sweep)


def merged(histogram: Histogram) -> Bars:
    """The bins of a histogram from its least to its greatest element, neighbours put together.

    Zero stays an edge.
    """
    filled = histogram.counts.nonzero().flatten()
    if not len(filled):
        return Bars(0.0, 1.0, ())
    indices = filled + histogram.first
    step = -(-int(indices[-1] - indices[0] + 1) // BARS)
    groups = indices.div(step, rounding_mode="floor")
    first = int(groups[0])
    counts = torch.zeros(int(groups[-1]) - first + 1, dtype=torch.int64)
    counts.index_add_(0, groups - first, histogram.counts[filled])
    width = step * histogram.width
    return Bars(first * width, width, tuple(counts.tolist()))


def _sweep_of(observation: Observation, grid: QParams) -> Sweep:
    density = Density.of(observation)
    _, square = density.moments()
    signal = square / density.unit**2
    factors = torch.tensor(FACTORS)
    candidates = replace(
        grid, scale=grid.scale * factors, zero_point=grid.zero_point.expand(len(FACTORS)), axis=0
    )
    errors = density.error(candidates).tolist()
    return Sweep(FACTORS, tuple(sqnr_db(signal, error) for error in errors))


def _histogram(codes: Tensor, grid: QParams) -> Bars:
    reach = max(codes.abs().max().item(), float(grid.high))
    counts = torch.histc(codes, BARS, -reach, reach)
    return Bars(-reach, 2 * reach / BARS, tuple(int(count) for count in counts.tolist()))


def _rows(codes: Tensor, grid: QParams) -> Tensor:
    """Some of the channels (R, K), spread over all of them; one row without channels."""
    if grid.axis is None:
        return codes.reshape(1, -1)
    rows = codes.movedim(grid.axis, 0).flatten(1)
    return rows[:: -(-len(rows) // MOST_CHANNELS)].contiguous()


def _median_bound(low: Tensor, high: Tensor) -> float:
    return torch.maximum(-low, high).median().item()


def _sweep_of_weights(codes: Tensor, scale: Tensor, grid: QParams) -> Sweep:
    step = (codes.numel() // MOST_WEIGHTS) | 1
    some = codes.flatten()[::step]
    squares = scale.expand(codes.shape).flatten()[::step].square()
    signal = (some.square() * squares).sum().item()
    heights = []
    for factor in FACTORS:
        rounded = (some / factor).round_().clamp_(grid.low, grid.high).mul_(factor)
        noise = (rounded.sub_(some).square_() * squares).sum().item()
        heights.append(sqnr_db(signal, noise))
    return Sweep(FACTORS, tuple(heights))
