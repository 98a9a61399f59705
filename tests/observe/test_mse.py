import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.observe.data import REALISTIC, normal, observed
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, asymmetric, simulate
from zeropoint.errors import RecipeError
from zeropoint.observe.best import CALIBRATORS
from zeropoint.observe.calibrator import Calibrator, grid_of, grid_over
from zeropoint.observe.error import simulated_error
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE
from zeropoint.observe.observation import Observation

SLACK = 1 + 1e-4
"""The end of a range is searched to a bin: 0.0004 dB."""


def error_of(calibrator: Calibrator, observation: Observation, bits: int, symmetric: bool) -> float:
    type = IntegerType(bits, signed=False)
    return simulated_error(observation, grid_of(calibrator, observation, type, symmetric))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("data", REALISTIC)
def test_the_error_is_never_greater_than_that_of_any_other_calibrator(
    data: str, bits: int, symmetric: bool
) -> None:
    observation = observed(REALISTIC[data])
    least = error_of(MSE(), observation, bits, symmetric)
    for other in CALIBRATORS:
        assert least <= error_of(other, observation, bits, symmetric) * SLACK, other


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30),
    st.integers(2, 8),
    st.booleans(),
)
def test_nor_than_that_of_the_whole_range_for_any_data(
    data: list[float], bits: int, symmetric: bool
) -> None:
    observation = observed(torch.tensor(data))
    whole = error_of(MinMax(), observation, bits, symmetric)
    assert error_of(MSE(), observation, bits, symmetric) <= whole * SLACK + 1e-12


@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("data", ["normal", "relu", "silu", "outlier"])
def test_no_range_on_a_fine_mesh_is_better(data: str, bits: int) -> None:
    """By the definition, on the data themselves: a hundredth of a range apart, either end."""
    x = REALISTIC[data].double()
    type = IntegerType(bits, signed=False)

    def error(params: QParams) -> float:
        return (simulate(x, params) - x).square().mean().item()

    ends = torch.linspace(0.01, 1, 100, dtype=torch.float64)
    lows = ends[-20::4] * x.min() if x.min() < 0 and bits == 8 else ends[::8] * x.min()
    mesh = [error(asymmetric(low, high * x.max(), type)) for low in lows for high in ends]
    found = grid_of(MSE(), observed(REALISTIC[data]), type, False)
    assert error(found) <= min(mesh) * 1.01


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_nor_is_the_whole_range_of_any_row_of_weights(bits: int, symmetric: bool) -> None:
    rows = torch.stack([data[:3].repeat(20) for data in REALISTIC.values()])
    rows += 0.1 * normal(rows.numel(), seed=1).reshape(rows.shape)
    type = IntegerType(bits, signed=True)
    errors = []
    for calibrator in (MSE(), MinMax()):
        low, high = calibrator.from_rows(rows, type, symmetric)
        grid = grid_over(low, high, type, symmetric, axis=0)
        errors.append((simulate(rows, grid) - rows).square().sum(1))
    assert (errors[0] <= errors[1] * (1 + 1e-5)).all()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_row_of_weights_gets_nearly_the_best_of_a_thousand_ranges(bits: int) -> None:
    rows, type = normal(2000).reshape(4, 500), IntegerType(bits, signed=True)
    _, high = MSE().from_rows(rows, type, True)
    peak = rows.abs().amax(1)

    def error(bound: torch.Tensor) -> torch.Tensor:
        return (
            (simulate(rows, grid_over(-bound, bound, type, True, axis=0)) - rows).square().mean(1)
        )

    best = torch.stack([error(peak * k / 1000) for k in range(50, 1001)]).amin(0)
    low, high = MSE().from_rows(rows, type, True)
    assert (error(torch.maximum(-low, high)) <= best * 1.06).all()


def test_one_outlier_among_many_is_clipped() -> None:
    observation = observed(REALISTIC["outlier"])
    low, high = MSE().from_observation(observation, IntegerType(4, signed=False), symmetric=False)
    assert -6 < low < -2
    assert 2 < high < 10


def test_the_two_ends_of_lopsided_data_are_chosen_apart() -> None:
    observation = observed(REALISTIC["silu"])
    low, high = MSE().from_observation(observation, IntegerType(4, signed=False), symmetric=False)
    assert low / observation.low != pytest.approx(high / observation.high, rel=0.1)


def test_uniform_data_are_not_clipped() -> None:
    low, high = MSE().from_observation(observed(REALISTIC["uniform"]), UINT8, symmetric=False)
    assert (low, high) == pytest.approx((-1.0, 3.0), rel=0.02)


def test_one_sided_data_get_a_one_sided_range() -> None:
    assert MSE().from_observation(observed(REALISTIC["relu"]), UINT8, symmetric=False)[0] == 0
    assert MSE().from_observation(observed(REALISTIC["negative"]), UINT8, symmetric=False)[1] == 0


def test_a_symmetric_range_is_symmetric_enough() -> None:
    """Both ends shrink alike, so the grid is that of the farther one."""
    observation = observed(torch.tensor([-1.0, 3.0]).repeat(100))
    low, high = MSE().from_observation(observation, INT8, symmetric=True)
    assert low == pytest.approx(-high / 3)


def test_another_power_clips_otherwise() -> None:
    type = IntegerType(3, signed=False)
    observation = observed(REALISTIC["normal"])
    low, high = MSE().from_observation(observation, type, symmetric=False)
    lower, higher = MSE(p=4.0).from_observation(observation, type, symmetric=False)
    assert higher - lower > high - low


def test_data_far_from_zero_and_close_together_are_told_apart() -> None:
    """One step of the grid lies among them: its place decides everything."""
    observation = observed(1000 + 0.01 * normal())
    grid = grid_of(MSE(), observation, UINT8, False)
    assert grid.real_range[1].item() == pytest.approx(1000, abs=0.005)


@pytest.mark.parametrize("p", [0, -1.0, 17, float("nan"), float("inf")])
def test_a_power_that_is_none_is_refused(p: float) -> None:
    with pytest.raises(RecipeError, match=r"p=.* is no power of an error to minimize; use a numb"):
        MSE(p=p)
