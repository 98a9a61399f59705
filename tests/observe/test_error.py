import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.observe.data import ODD, REALISTIC, normal, observed
from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import asymmetric, per_tensor, simulate, symmetric
from zeropoint.observe.calibrator import scalar
from zeropoint.observe.error import Density, mean_error, simulated_error, simulated_sqnr
from zeropoint.observe.observation import Observation

RANGES = [(-1.0, 1.0), (0.0, 6.0), (-0.3, 4.0), (-8.0, 8.0), (0.0, 0.01), (-30.0, 0.0)]


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("extent", RANGES)
@pytest.mark.parametrize("data", REALISTIC)
def test_it_is_the_error_of_the_data_to_a_quarter_of_a_decibel(
    data: str, extent: tuple[float, float], bits: int
) -> None:
    x, type = REALISTIC[data].double(), IntegerType(bits, signed=False)
    params = asymmetric(scalar(extent[0]), scalar(extent[1]), type)
    error = (simulate(x, params) - x).square().mean().item()
    expected = 10 * math.log10(x.square().mean().item() / error)
    assert simulated_sqnr(observed(REALISTIC[data]), params) == pytest.approx(expected, abs=0.25)


@pytest.mark.parametrize("p", [1.0, 2.4, 3.0, 4.0])
def test_other_powers_are_the_mean_of_that_power(p: float) -> None:
    x, params = REALISTIC["silu"], symmetric(scalar(-5.0), scalar(5.0), UINT8)
    density = Density.of(observed(x))
    expected = (simulate(x.double(), params) - x).abs().pow(p).mean().item()
    assert density.error(params, p).item() * density.unit**p == pytest.approx(expected, rel=0.01)


def test_several_grids_at_once_give_what_each_gives() -> None:
    density = Density.of(observed(REALISTIC["normal"]))
    highs = torch.linspace(0.5, 4, 300, dtype=torch.float64)
    together = density.error(asymmetric(-highs, highs, UINT8, axis=0))
    for index in (0, 150, 299):
        alone = density.error(asymmetric(-highs[index], highs[index], UINT8))
        assert together[index].item() == pytest.approx(alone.item(), rel=1e-9)


def test_steps_finer_than_a_bin_are_told_from_no_error() -> None:
    """The middle of each bin may lie on such a grid: by the middles the error would be zero."""
    observation = observed(REALISTIC["uniform"])
    step = observation.histogram.width / 3
    params = per_tensor(step, 0, IntegerType(16, signed=True))
    assert simulated_error(observation, params) == pytest.approx(step**2 / 12, rel=0.05)


def test_zeros_have_no_error_however_wide_their_bin_is() -> None:
    few, many = observed(normal().relu()), observed(normal().relu(), torch.zeros(980_000))
    params = per_tensor(0.001, 0, UINT8)
    ratio = simulated_error(few, params) / simulated_error(many, params)
    assert ratio == pytest.approx(50, rel=1e-6)


@pytest.mark.parametrize("data", ODD)
def test_odd_data_have_a_finite_error_of_no_more_than_themselves(data: str) -> None:
    x = ODD[data].double()
    for low, high in ((0.0, 0.0), (-1e-30, 1.0), (-3e38, 3e38)):
        params = asymmetric(scalar(low), scalar(high), UINT8)
        error = simulated_error(observed(ODD[data]), params)
        assert math.isfinite(error)
        expected = (simulate(x, params) - x).square().mean().item() if len(x) else 0.0
        greatest = x.abs().max().item() if len(x) else 0.0
        assert error == pytest.approx(expected, rel=0.05, abs=1e-6 * greatest**2 + 1e-60)


@given(st.floats(-(2.0**99), 2.0**99, width=32))
def test_a_constant_has_the_error_of_that_number(x: float) -> None:
    params = per_tensor(0.25, 100, UINT8)
    expected = (simulate(torch.tensor([x]).double(), params) - x).square().item()
    assert simulated_error(observed(torch.tensor([x])), params) == pytest.approx(
        expected, rel=1e-4, abs=1e-9
    )


def test_no_error_is_infinitely_many_decibels_and_no_signal_none() -> None:
    params = per_tensor(1.0, 0, UINT8)
    assert simulated_sqnr(observed(torch.zeros(5)), params) == math.inf
    assert simulated_sqnr(Observation(), params) == math.inf
    assert simulated_sqnr(observed(torch.full((5,), 0.25)), params) == pytest.approx(0.0)


def test_rows_of_weights_have_an_error_each_in_shares_of_the_greatest() -> None:
    rows = torch.tensor([[0.0, 1.0, 0.4], [0.0, 0.0, 0.0], [3e38, 1e38, 0.0]])
    grids = symmetric(rows.amin(1), rows.amax(1), IntegerType(2, signed=True), axis=0)
    found = mean_error(rows, grids)
    assert found.tolist() == pytest.approx([0.16 / 3, 0.0, 1 / 27], rel=1e-5)
