import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import simulate
from zeropoint.observe.calibrator import Calibrator, grid_over, scalar
from zeropoint.observe.histogram import Histogram
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE


def histogram_of(x: Tensor) -> Histogram:
    histogram = Histogram()
    histogram.add(x)
    return histogram


def error_over_bins(
    calibrator: Calibrator, histogram: Histogram, type: IntegerType, symmetric: bool
) -> float:
    """sum n |c - Q(c)|^2 / sum n over the bins, by definition and in float64."""
    low, high = calibrator.from_histogram(histogram, type, symmetric)
    grid = grid_over(scalar(low), scalar(high), type, symmetric)
    error = (simulate(histogram.centres(), grid) - histogram.centres()).square()
    return ((error * histogram.counts).sum() / histogram.total).item()


def normal(count: int, *, seed: int = 0) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


DATA = {
    "normal": normal(10_000),
    "relu": normal(10_000).relu(),
    "outlier": torch.cat([normal(10_000), torch.tensor([20.0])]),
    "lopsided": torch.nn.functional.silu(4 * normal(10_000)),
    "negative": -normal(10_000).abs() - 3,
    "far": normal(10_000) + 1000,
    "uniform": torch.linspace(-1, 3, 10_000),
    "few": torch.tensor([0.1, 5.0, -2.0]),
}


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("data", DATA)
def test_the_error_is_never_greater_than_that_of_the_whole_range(
    data: str, bits: int, symmetric: bool
) -> None:
    histogram, type = histogram_of(DATA[data]), IntegerType(bits, signed=False)
    best = error_over_bins(MSE(), histogram, type, symmetric)
    whole = error_over_bins(MinMax(), histogram, type, symmetric)
    assert best <= whole * (1 + 1e-4)


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30),
    st.integers(2, 8),
    st.booleans(),
)
def test_nor_for_any_other_data(data: list[float], bits: int, symmetric: bool) -> None:
    histogram, type = histogram_of(torch.tensor(data)), IntegerType(bits, signed=False)
    best = error_over_bins(MSE(), histogram, type, symmetric)
    whole = error_over_bins(MinMax(), histogram, type, symmetric)
    assert best <= whole * (1 + 1e-4) + 1e-12


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_nor_for_any_row_of_weights(bits: int, symmetric: bool) -> None:
    rows = torch.stack([data[:3].repeat(20) for data in DATA.values()])
    rows += 0.1 * normal(rows.numel(), seed=1).reshape(rows.shape)
    type = IntegerType(bits, signed=True)
    errors = []
    for calibrator in (MSE(), MinMax()):
        low, high = calibrator.from_rows(rows, type, symmetric)
        grid = grid_over(low, high, type, symmetric, axis=0)
        errors.append((simulate(rows, grid) - rows).square().sum(1))
    assert (errors[0] <= errors[1] * (1 + 1e-5)).all()


def test_one_outlier_among_many_is_clipped() -> None:
    histogram = histogram_of(DATA["outlier"])
    low, high = MSE().from_histogram(histogram, IntegerType(4, signed=False), symmetric=False)
    assert -6 < low < -2
    assert 2 < high < 10
    assert MinMax().from_histogram(histogram, UINT8, symmetric=False)[1] == 20


def test_the_two_ends_of_lopsided_data_are_chosen_apart() -> None:
    histogram = histogram_of(DATA["lopsided"])
    low, high = MSE().from_histogram(histogram, IntegerType(4, signed=False), symmetric=False)
    assert low / histogram.low != pytest.approx(high / histogram.high, rel=0.1)


def test_uniform_data_are_not_clipped() -> None:
    low, high = MSE().from_histogram(histogram_of(DATA["uniform"]), UINT8, symmetric=False)
    assert (low, high) == pytest.approx((-1.0, 3.0), rel=0.02)


def test_one_sided_data_get_a_one_sided_range() -> None:
    assert MSE().from_histogram(histogram_of(DATA["relu"]), UINT8, symmetric=False)[0] == 0
    assert MSE().from_histogram(histogram_of(DATA["negative"]), UINT8, symmetric=False)[1] == 0


def test_a_symmetric_range_is_symmetric_enough() -> None:
    """Both ends shrink alike, so the grid is that of the farther one."""
    histogram = histogram_of(torch.tensor([-1.0, 3.0]).repeat(100))
    low, high = MSE().from_histogram(histogram, INT8, symmetric=True)
    assert low == pytest.approx(-high / 3)


def test_another_power_clips_otherwise() -> None:
    type = IntegerType(3, signed=False)
    histogram = histogram_of(DATA["normal"])
    _, square = MSE().from_histogram(histogram, type, symmetric=False)
    _, fourth = MSE(p=4.0).from_histogram(histogram, type, symmetric=False)
    assert fourth > square
