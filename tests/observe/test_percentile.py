import numpy as np
import pytest
import torch
from torch import Tensor

from tests.observe.data import REALISTIC, normal, observed
from zeropoint.arithmetic.integer import INT8, UINT8
from zeropoint.errors import RecipeError
from zeropoint.observe.percentile import Percentile


def by_definition(x: Tensor, percentile: float, symmetric: bool) -> tuple[float, float]:
    """As numpy has it, each bound an element of the data."""
    data, share = x.double().numpy(), percentile / 100

    def quantile(of: np.ndarray, share: float) -> float:
        return float(np.quantile(of, round(share, 9), method="inverted_cdf"))

    low, high = data.min(), data.max()
    if symmetric or low >= 0 or high <= 0:
        reach = quantile(np.abs(data), share)
        return max(low, -reach), min(high, reach)
    return quantile(data, (1 - share) / 2), quantile(data, (1 + share) / 2)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0, 99.9, 99.99, 100.0])
@pytest.mark.parametrize("data", REALISTIC)
def test_it_is_the_definition_to_a_bin(data: str, percentile: float, symmetric: bool) -> None:
    observation = observed(*torch.split(REALISTIC[data], 3000))
    found = Percentile(percentile).from_observation(observation, UINT8, symmetric)
    expected = by_definition(REALISTIC[data], percentile, symmetric)
    assert found == pytest.approx(expected, abs=observation.histogram.width)


def test_all_of_the_data_is_the_whole_range() -> None:
    observation = observed(REALISTIC["silu"])
    found = Percentile(100).from_observation(observation, UINT8, symmetric=False)
    assert found == pytest.approx((observation.low, observation.high), abs=1e-2)


def test_one_outlier_among_many_is_clipped() -> None:
    observation = observed(REALISTIC["outlier"])
    low, high = Percentile(99.99).from_observation(observation, UINT8, symmetric=False)
    assert -5 < low < -3
    assert 3 < high < 5


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("percentile", [90.0, 99.9, 100.0])
def test_each_row_of_weights_has_its_own(percentile: float, symmetric: bool) -> None:
    rows = torch.stack([normal(5000), 7 * normal(5000, seed=1) + 1, normal(5000, seed=2).relu()])
    lows, highs = Percentile(percentile).from_rows(rows, INT8, symmetric)
    for row, low, high in zip(rows, lows, highs, strict=True):
        expected = by_definition(row, percentile, symmetric)
        assert (low.item(), high.item()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("percentile", [0, -1.0, 100.5, float("nan")])
def test_a_share_that_is_none_is_refused(percentile: float) -> None:
    with pytest.raises(RecipeError, match=r"percentile=.* use more than 0 and at most 100, such"):
        Percentile(percentile)
