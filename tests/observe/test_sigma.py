import pytest
import torch
from torch import Tensor

from tests.observe.data import REALISTIC, normal, observed
from zeropoint.arithmetic.integer import INT8, UINT8
from zeropoint.errors import RecipeError
from zeropoint.observe.sigma import Sigma


def by_definition(x: Tensor, n: float) -> tuple[float, float]:
    x = x.double()
    low, high = x.min().item(), x.max().item()
    if low >= 0 or high <= 0:
        reach = n * x[x != 0].square().mean().sqrt().item()
        return max(low, -reach), min(high, reach)
    mean, reach = x.mean().item(), n * x.std(correction=0).item()
    return max(low, mean - reach), min(high, mean + reach)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("n", [0.5, 2.0, 3.0, 6.0])
@pytest.mark.parametrize("data", REALISTIC)
def test_it_is_the_definition_to_a_bin(data: str, n: float, symmetric: bool) -> None:
    observation = observed(REALISTIC[data])
    found = Sigma(n).from_observation(observation, UINT8, symmetric)
    expected = by_definition(REALISTIC[data], n)
    assert found == pytest.approx(expected, abs=observation.histogram.width)


def test_it_clips_and_never_widens() -> None:
    observation = observed(REALISTIC["outlier"])
    low, high = Sigma(3.0).from_observation(observation, UINT8, symmetric=False)
    assert observation.low < low < -2.9
    assert 2.9 < high < 3.2
    uniform = observed(REALISTIC["uniform"])
    assert Sigma(3.0).from_observation(uniform, UINT8, symmetric=False) == (-1.0, 3.0)


def test_the_zeros_after_a_relu_do_not_count() -> None:
    """Half of a normal distribution has the whole one's deviation, however many zeros there are."""
    for zeros in (0, 20_000, 1_000_000):
        data = torch.cat([normal().relu(), torch.zeros(zeros)])
        _, high = Sigma(2.0).from_observation(observed(data), UINT8, symmetric=False)
        assert high == pytest.approx(2.0, rel=0.02)


def test_each_row_of_weights_is_clipped_at_its_own_deviation() -> None:
    rows = torch.stack([normal(500), 7 * normal(500, seed=1) + 1, normal(500, seed=2).relu()])
    lows, highs = Sigma(1.5).from_rows(rows, INT8, True)
    for row, low, high in zip(rows, lows, highs, strict=True):
        assert (low.item(), high.item()) == pytest.approx(by_definition(row, 1.5), rel=1e-5)


@pytest.mark.parametrize("n", [0, -1.0, float("inf"), float("nan")])
def test_a_number_that_is_none_is_refused(n: float) -> None:
    with pytest.raises(RecipeError, match=r"n=.* use a positive number, such as 3.0"):
        Sigma(n)
