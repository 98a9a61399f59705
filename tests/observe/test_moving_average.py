import pytest
import torch
from torch.ao.quantization.observer import MovingAverageMinMaxObserver

from tests.observe.data import normal, observed
from zeropoint.arithmetic.integer import INT8, UINT8
from zeropoint.errors import RecipeError
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.moving_average import MovingAverage

BATCHES = [scale * normal(500, seed=seed) for seed, scale in enumerate([1.0, 3.0, 0.5, 2.0, 1.0])]


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99])
def test_it_is_what_the_observer_of_torch_keeps(momentum: float) -> None:
    observer = MovingAverageMinMaxObserver(averaging_constant=1 - momentum)
    for batch in BATCHES:
        observer(batch)
    found = MovingAverage(momentum).from_observation(observed(*BATCHES), UINT8, symmetric=False)
    assert found == pytest.approx((observer.min_val.item(), observer.max_val.item()), rel=1e-5)


def test_a_symmetric_range_averages_the_greatest_absolute_value() -> None:
    """moving_max = moving_max * momentum + max(abs(x)) * (1 - momentum)"""
    moving_max = BATCHES[0].abs().max().item()
    for batch in BATCHES[1:]:
        moving_max = moving_max * 0.9 + batch.abs().max().item() * 0.1
    low, high = MovingAverage(0.9).from_observation(observed(*BATCHES), UINT8, symmetric=True)
    assert max(-low, high) == pytest.approx(moving_max)


def test_the_order_of_the_batches_matters() -> None:
    ahead = MovingAverage(0.5).from_observation(observed(*BATCHES), UINT8, symmetric=False)
    back = MovingAverage(0.5).from_observation(observed(*BATCHES[::-1]), UINT8, symmetric=False)
    assert ahead != back


def test_without_momentum_the_last_batch_decides() -> None:
    found = MovingAverage(0.0).from_observation(observed(*BATCHES), UINT8, symmetric=False)
    assert found == (BATCHES[-1].min().item(), BATCHES[-1].max().item())


def test_data_of_one_sign_stay_on_their_side() -> None:
    batches = [batch.relu() for batch in BATCHES]
    for symmetric in (False, True):
        low, high = MovingAverage().from_observation(observed(*batches), UINT8, symmetric)
        assert low == 0 < high


def test_weights_come_in_one_batch() -> None:
    rows = normal(40).reshape(4, 10)
    one, other = (kind.from_rows(rows, INT8, True) for kind in (MovingAverage(), MinMax()))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


@pytest.mark.parametrize("momentum", [1, 1.5, -0.1, float("nan")])
def test_a_momentum_that_is_no_share_is_refused(momentum: float) -> None:
    with pytest.raises(RecipeError, match=r"momentum=.* use a number from 0 to below 1, such as"):
        MovingAverage(momentum)
