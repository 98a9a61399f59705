import math

import numpy as np
import pytest
import torch

from tests.observe.data import REALISTIC, normal, observed
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import simulate
from zeropoint.observe.calibrator import grid_of, grid_over
from zeropoint.observe.entropy import Entropy
from zeropoint.observe.error import simulated_sqnr
from zeropoint.observe.histogram import Histogram


def divergence(counts: np.ndarray, start: int, stop: int, levels: int) -> float:
    """KL(P || Q) for the range [start, stop) of bins, as the recipe of TensorRT says."""
    p = counts[start:stop].astype(np.float64)
    inside = p.copy()
    p[0] += counts[:start].sum()
    p[-1] += counts[stop:].sum()
    q = np.zeros_like(inside)
    for level in range(levels):
        begin, end = level * len(q) // levels, (level + 1) * len(q) // levels
        filled = inside[begin:end] > 0
        if filled.any():
            q[begin:end][filled] = inside[begin:end].sum() / filled.sum()
    if not inside.any() or (q[p > 0] == 0).any():
        return math.inf
    p, q = p / p.sum(), q / q.sum()
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def without_zeros(histogram: Histogram) -> np.ndarray:
    counts = histogram.counts.numpy().copy()
    if histogram.zeros:
        counts[-histogram.first] -= histogram.zeros
    return counts


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    ("data", "symmetric"), [("relu", False), ("sparse", False), ("silu", True)]
)
def test_one_end_is_where_the_divergence_is_least(data: str, symmetric: bool, bits: int) -> None:
    """To the bin: of |x| in half of the levels, if symmetric."""
    observation = observed(REALISTIC[data])
    folded = observation.histogram.folded()
    counts = without_zeros(folded)
    last = int(np.flatnonzero(counts).max()) + 1
    levels = 1 << (bits - 1 if symmetric else bits)
    low, high = Entropy().from_observation(observation, IntegerType(bits, False), symmetric)
    found = min(round(max(-low, high) / folded.width), last)
    # All of them take a minute in Python; next to the one that was found, a slip would show.
    stops = {*range(levels, last + 1, 37), *range(found - 10, found + 11)}
    others = [divergence(counts, 0, s, levels) for s in stops if levels <= s <= last]
    assert divergence(counts, 0, found, levels) <= min(others) + 1e-12


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("data", ["normal", "silu", "outlier"])
def test_two_ends_diverge_less_than_a_mesh_of_ranges(data: str, bits: int) -> None:
    observation = observed(REALISTIC[data])
    histogram, counts = observation.histogram, without_zeros(observation.histogram)
    zero, levels = -histogram.first, 1 << bits
    filled = np.flatnonzero(counts)
    low, high = Entropy().from_observation(observation, IntegerType(bits, False), False)
    start, stop = round(low / histogram.width) + zero, round(high / histogram.width) + zero
    start, stop = max(start, int(filled[0])), min(stop, int(filled[-1]) + 1)
    mesh = [
        divergence(counts, begin, end + 1, levels)
        for begin in filled[filled < zero][::100]
        for end in filled[filled >= zero][::100]
        if end + 1 - begin >= levels
    ]
    assert divergence(counts, start, stop, levels) <= min(mesh)


@pytest.mark.parametrize("data", ["relu", "sparse"])
def test_the_zeros_after_a_relu_do_not_drive_the_range_down(data: str) -> None:
    """With them in the first bin it would end at 1.5 of 4.1 deviations, and at 0.9 of 5.3."""
    observation = observed(REALISTIC[data])
    more = observed(REALISTIC[data], torch.zeros(1_000_000))
    choice = Entropy().from_observation(observation, UINT8, symmetric=False)
    assert choice[1] > 0.5 * observation.high
    assert choice == Entropy().from_observation(more, UINT8, symmetric=False)


def test_ordinary_data_lose_little() -> None:
    """Six decibels are a bit."""
    for data in ("normal", "relu", "silu", "uniform"):
        observation = observed(REALISTIC[data])
        assert simulated_sqnr(observation, grid_of(Entropy(), observation, UINT8, False)) > 30


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("offset", [-100.0, -6.0, 6.0, 100.0])
def test_data_that_begin_beyond_zero_are_not_clipped_at_their_beginning(
    offset: float, symmetric: bool
) -> None:
    observation = observed(normal() + offset)
    grid = grid_of(Entropy(), observation, IntegerType(8, False), symmetric)
    assert simulated_sqnr(observation, grid) > 35


def test_an_outlier_costs_less_than_the_whole_range_at_few_bits() -> None:
    observation = observed(REALISTIC["outlier"])
    _, high = Entropy().from_observation(observation, IntegerType(4, False), symmetric=False)
    assert high < 10


def test_rows_of_weights_lose_little() -> None:
    rows = normal(16_000).reshape(4, 4000) * torch.tensor([[1.0], [0.01], [30.0], [1e-6]])
    low, high = Entropy().from_rows(rows, INT8, True)
    error = simulate(rows, grid_over(low, high, INT8, True, axis=0)) - rows
    assert (rows.square().sum(1) > 1000 * error.square().sum(1)).all()
    assert (torch.maximum(-low, high) > 0.5 * rows.abs().amax(1)).all()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_pixels_of_few_levels_keep_most_of_their_range(bits: int) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = (120 + 60 * torch.randn(100_000, generator=generator)).round().clamp(0, 255)
    observation = observed((pixels / 255 - 0.5) / 0.5)
    low, high = Entropy().from_observation(observation, IntegerType(bits, signed=False), False)
    assert low < -0.5
    assert high > 0.5
