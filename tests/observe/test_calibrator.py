import math
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.observe.data import ODD, REALISTIC, normal, observed
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams
from zeropoint.observe.best import CALIBRATORS, Best
from zeropoint.observe.calibrator import Calibrator, grid_of, grid_over, scalar
from zeropoint.observe.entropy import Entropy
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.moving_average import MovingAverage
from zeropoint.observe.mse import MSE
from zeropoint.observe.percentile import Percentile
from zeropoint.observe.sigma import Sigma

EVERY = [*CALIBRATORS, MSE(p=2.4), Percentile(50.0), Sigma(0.5), MovingAverage(0.0), Best()]
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
TENSORS = st.one_of(
    st.lists(FLOATS, min_size=1, max_size=20),
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20),
    st.lists(st.floats(0, 6, width=32), min_size=1, max_size=20),
    st.lists(st.floats(1000, 1000.5, width=32), min_size=1, max_size=20),
    st.lists(st.sampled_from([0.0, 1e-45, -1e-45, 1.0, 3.4e38, -3.4e38]), min_size=1, max_size=9),
).map(lambda data: torch.tensor(data, dtype=torch.float32))


def assert_usable(params: QParams, *, one_sided: bool) -> None:
    """A finite positive scale, and zero on the grid exactly."""
    assert torch.isfinite(params.scale).all()
    assert (params.scale > 0).all()
    assert (params.zero_point >= params.type.low).all()
    assert (params.zero_point <= params.type.high).all()
    low, high = params.real_range
    assert (low <= 0).all()
    assert (high >= 0).all()
    if one_sided:
        assert low.item() == 0


def assert_gives_a_usable_grid(
    calibrator: Calibrator, data: Tensor, bits: int, symmetric: bool
) -> None:
    """A finite range, of data without negative numbers a one-sided one."""
    observation, type = observed(data), IntegerType(bits, signed=False)
    low, high = calibrator.from_observation(observation, type, symmetric)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low >= min(observation.low, 0) * 1.000001
    assert high <= max(observation.high, 0) * 1.000001
    grid = grid_over(scalar(low), scalar(high), type, symmetric)
    assert_usable(grid, one_sided=data.numel() == 0 or data.min().item() >= 0)
    assert grid == grid_of(calibrator, observation, type, symmetric)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 5, 8])
@pytest.mark.parametrize("calibrator", EVERY, ids=repr)
def test_odd_and_ordinary_data_give_a_usable_grid(
    calibrator: Calibrator, bits: int, symmetric: bool
) -> None:
    for data in (*ODD.values(), *REALISTIC.values()):
        assert_gives_a_usable_grid(calibrator, data, bits, symmetric)


@given(TENSORS, st.sampled_from(EVERY), st.integers(2, 8), st.booleans())
def test_any_other_data_do_too(
    data: Tensor, calibrator: Calibrator, bits: int, symmetric: bool
) -> None:
    assert_gives_a_usable_grid(calibrator, data, bits, symmetric)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("calibrator", EVERY, ids=repr)
def test_any_weights_give_usable_grids(calibrator: Calibrator, bits: int, symmetric: bool) -> None:
    rows = torch.stack([data[:1].repeat(4) for data in ODD.values() if data.numel()])
    rows[:, 0] = 0.0
    for weights in (rows, -rows, rows[:, :1], torch.tensor([[3e38, -3e38], [1e-45, 0.0]])):
        low, high = calibrator.from_rows(weights, IntegerType(bits, signed=True), symmetric)
        assert low.shape == high.shape == (len(weights),)
        assert torch.isfinite(low).all()
        assert torch.isfinite(high).all()
        grids = grid_over(low, high, IntegerType(bits, signed=True), symmetric, axis=0)
        assert_usable(grids, one_sided=False)


@pytest.mark.parametrize("calibrator", EVERY, ids=repr)
def test_each_row_of_weights_is_chosen_for_by_itself(calibrator: Calibrator) -> None:
    rows = torch.stack([normal(300, seed=1), 5 * normal(300, seed=2), normal(300, seed=3).abs()])
    together = calibrator.from_rows(rows, INT8, True)
    alone = [calibrator.from_rows(row[None], INT8, True) for row in rows]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.allclose(whole.double(), torch.cat(parts).double())


@pytest.mark.parametrize("calibrator", EVERY, ids=repr)
def test_data_and_observation_are_left_as_they_were(calibrator: Calibrator) -> None:
    rows, observation = normal(300).reshape(3, 100), observed(REALISTIC["relu"])
    calibrator.from_rows(rows, INT8, True)
    calibrator.from_observation(observation, UINT8, False)
    assert torch.equal(rows, normal(300).reshape(3, 100))
    assert torch.equal(observation.histogram.counts, observed(REALISTIC["relu"]).histogram.counts)


@pytest.mark.parametrize("calibrator", EVERY, ids=repr)
def test_a_calibrator_prints_as_it_is_written_and_stays_as_it_is(calibrator: Calibrator) -> None:
    assert eval(repr(calibrator)) == calibrator
    with pytest.raises(FrozenInstanceError):
        calibrator.another = 1  # type: ignore[attr-defined]  # there is none, and none can be made


def test_every_calibrator_is_in_the_table() -> None:
    kinds = {type(calibrator) for calibrator in CALIBRATORS}
    assert kinds == {MinMax, MovingAverage, Sigma, Percentile, Entropy, MSE}


@given(
    st.floats(-1e30, 1e30), st.floats(-1e30, 1e30), st.integers(2, 8), st.booleans(), st.booleans()
)
def test_a_grid_covers_its_range_to_half_a_step(
    one: float, other: float, bits: int, signed: bool, symmetric: bool
) -> None:
    low, high = sorted((one, other))
    params = grid_over(scalar(low), scalar(high), IntegerType(bits, signed), symmetric)
    assert_usable(params, one_sided=False)
    if max(-low, high) < 1e-15:
        return  # nothing but zero
    slack = params.scale.item() * 0.501
    lowest, highest = (bound.item() for bound in params.real_range)
    assert lowest <= low + slack
    assert highest >= high - slack
