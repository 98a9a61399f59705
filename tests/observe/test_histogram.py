import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.observe import histogram as module
from zeropoint.observe.histogram import BINS, Histogram, NotFinite

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
GREATEST = torch.finfo(torch.float32).max
LEAST = 2.0**-149

DATA = st.one_of(
    st.lists(FLOATS, min_size=1, max_size=20),
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20),
    st.lists(st.floats(0, 6, width=32), min_size=1, max_size=20),
    st.lists(st.floats(1000, 1000.5, width=32), min_size=1, max_size=20),
    st.lists(st.floats(-(2.0**-100), 2.0**-126, width=32), min_size=1, max_size=20),
    st.lists(st.sampled_from([0.0, -0.0, LEAST, -LEAST, 1.0, GREATEST, -GREATEST]), min_size=1),
)

EXTREMES = [
    [0.0],
    [5.0],
    [-5.0, -5.0],
    [1000.0, 1000.0001],
    [GREATEST, -GREATEST],
    [GREATEST, 1.0, 0.0],
    [LEAST, -LEAST],
    [-1e-30, 3e38],
    [-LEAST, GREATEST],
    [16777216.0, 16777218.0],
]


def histogram_of(*batches: Any) -> Histogram:
    histogram = Histogram()
    for batch in batches:
        histogram.add(torch.as_tensor(batch, dtype=torch.float32))
    return histogram


def assert_counts_what_numpy_counts(histogram: Histogram, data: Any) -> None:
    """Bin i holds the x with  i w <= x < (i + 1) w, in float64, where nothing is rounded."""
    x = np.asarray(data, dtype=np.float32).astype(np.float64).ravel()
    index = np.floor(x / histogram.width).astype(np.int64) - histogram.first
    expected = np.bincount(index, minlength=BINS)
    assert expected.shape == (BINS,)
    assert np.array_equal(histogram.counts.numpy(), expected)
    assert histogram.total == x.size
    assert (histogram.low, histogram.high) == (x.min(), x.max())


def assert_equal(one: Histogram, other: Histogram) -> None:
    assert (one.low, one.high) == (other.low, other.high)
    assert (one.exponent, one.first) == (other.exponent, other.first)
    assert torch.equal(one.counts, other.counts)


@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0, -3.0, 1000.0])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e6])
def test_every_element_is_counted_in_its_bin(scale: float, shift: float) -> None:
    x = torch.randn(4, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    x = (x + shift) * scale
    assert_counts_what_numpy_counts(histogram_of(x), x)
    assert_counts_what_numpy_counts(histogram_of(x.relu()), x.relu())


@given(DATA)
def test_any_data_are_counted_exactly(data: list[float]) -> None:
    assert_counts_what_numpy_counts(histogram_of(data), data)


@pytest.mark.parametrize("data", EXTREMES)
def test_extreme_data_are_counted_exactly_in_any_order(data: list[float]) -> None:
    assert_counts_what_numpy_counts(histogram_of(data), data)
    assert_equal(histogram_of(*[[x] for x in data]), histogram_of(data))
    assert_equal(histogram_of(*[[x] for x in reversed(data)]), histogram_of(data))


def test_many_elements_of_one_bin_are_counted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces, since a float32 counter stops at 2^24."""
    monkeypatch.setattr(module, "CHUNK", 1000)
    assert histogram_of(torch.ones(12345)).counts.max() == 12345


def test_the_memory_format_does_not_matter() -> None:
    x = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    assert_equal(histogram_of(x.contiguous(memory_format=torch.channels_last)), histogram_of(x))
    assert_equal(histogram_of(x.transpose(1, 2)), histogram_of(x))
    assert_equal(histogram_of(x[:, ::2]), histogram_of(x[:, ::2].clone()))


@given(DATA, st.integers(0, 20), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_cut_of_the_batches_matters(
    data: list[float], cut: int, random: Any
) -> None:
    shuffled = list(data)
    random.shuffle(shuffled)
    assert_equal(histogram_of(shuffled[:cut], shuffled[cut:]), histogram_of(data))


@given(DATA, DATA)
@example([-LEAST], [GREATEST])
@example([0.0], [1000.0, 1000.0001])
def test_two_halves_merge_to_the_whole(one: list[float], other: list[float]) -> None:
    merged = histogram_of(one)
    merged.merge(histogram_of(other))
    assert_equal(merged, histogram_of(one, other))


def test_merging_with_nothing_changes_nothing() -> None:
    histogram = histogram_of([1.0, 2.0])
    histogram.merge(Histogram())
    assert_equal(histogram, histogram_of([1.0, 2.0]))
    empty = Histogram()
    empty.merge(histogram)
    assert_equal(empty, histogram)


def test_an_empty_tensor_counts_nothing() -> None:
    histogram = histogram_of(torch.empty(0, 3))
    assert histogram.total == 0
    assert (histogram.low, histogram.high) == (math.inf, -math.inf)


@given(DATA)
def test_the_bins_are_no_wider_than_they_need_to_be(data: list[float]) -> None:
    """Half the width would need more bins than there are, or indices beyond float32."""
    histogram = histogram_of(data)
    half = histogram.width / 2
    bins = math.floor(histogram.high / half) - math.floor(histogram.low / half) + 1
    reach = max(-histogram.low, histogram.high) / half
    assert bins > BINS or reach >= 2**23 or histogram.exponent == module.FINEST


@given(DATA)
def test_centres_lie_within_the_data(data: list[float]) -> None:
    histogram = histogram_of(data)
    filled = histogram.centres()[histogram.counts > 0]
    assert filled.min() >= histogram.low
    assert filled.max() <= histogram.high


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(NotFinite):
        histogram_of([1.0, bad])


def test_the_data_are_not_changed() -> None:
    x: Tensor = torch.tensor([-1.5, 0.25, 3.0], requires_grad=True)
    histogram_of(x)
    assert x.tolist() == [-1.5, 0.25, 3.0]


# --- zeros, and the histogram of |x| -------------------------------------------------------------


@given(DATA, st.integers(0, 20))
def test_exact_zeros_are_counted_and_nothing_else(data: list[float], cut: int) -> None:
    histogram = histogram_of(data[:cut], data[cut:])
    assert histogram.zeros == sum(x == 0 for x in data)
    histogram.merge(histogram_of(data))
    assert histogram.zeros == 2 * sum(x == 0 for x in data)


def test_adding_tells_the_extremes_of_what_was_added() -> None:
    histogram = Histogram()
    assert histogram.add(torch.tensor([1.0, -2.0])) == (-2.0, 1.0)
    assert histogram.add(torch.tensor([0.5])) == (0.5, 0.5)
    assert histogram.add(torch.empty(0)) is None


@given(DATA)
def test_a_folded_histogram_is_that_of_the_absolute_values(data: list[float]) -> None:
    """But for elements on an edge, one bin lower."""
    folded = histogram_of(data).folded()
    x = np.abs(np.asarray(data, dtype=np.float32).astype(np.float64))
    assert (folded.low <= x.min(), folded.high, folded.total) == (True, x.max(), len(x))
    assert folded.zeros == (x == 0).sum()
    index = np.sort(np.floor(x / folded.width).astype(np.int64))
    bins = np.arange(BINS) + folded.first
    found = np.repeat(bins, folded.counts.numpy())
    assert ((index - found >= 0) & (index - found <= 1)).all()
    assert (folded.edges()[1:] - folded.edges()[:-1] == folded.width).all()
