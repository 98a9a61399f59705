import math

import pytest
import torch

from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, asymmetric, per_tensor, simulate, symmetric
from zeropoint.observe.best import CALIBRATORS
from zeropoint.observe.observation import Observation
from zeropoint.report.page.plot_data import BARS, FACTORS, merged, of_activations, of_weights


def observed(x: torch.Tensor) -> Observation:
    observation = Observation()
    observation.add(x)
    return observation


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


GRID = asymmetric(torch.tensor(-2.0), torch.tensor(3.0), UINT8)


def test_bars_count_everything_once_and_zero_is_an_edge() -> None:
    x = normal(10_000)
    bars = merged(observed(x).histogram)
    assert sum(bars.counts) == 10_000
    assert len(bars.counts) <= BARS + 1
    assert (bars.low / bars.width).is_integer()
    assert bars.low <= x.min() <= bars.low + bars.width
    end = bars.low + bars.width * len(bars.counts)
    assert end - bars.width <= x.max() <= end


def test_a_constant_is_one_bar_and_nothing_none() -> None:
    assert merged(observed(torch.ones(7)).histogram).counts == (7,)
    assert merged(Observation().histogram).counts == ()


def test_every_calibrator_has_a_range_and_the_grid_s_own_is_chosen() -> None:
    ranges = of_activations(observed(normal(1000)), GRID, calibrator="MSE(p=2.0)").ranges
    assert [each.name for each in ranges[1:]] == [type(each).__name__ for each in CALIBRATORS]
    assert [each.chosen for each in ranges] == [True] + [False] * len(CALIBRATORS)
    low, high = GRID.real_range
    assert (ranges[0].low, ranges[0].high) == (low.item(), high.item())
    assert ranges[0].calibrator == "MSE(p=2.0)"


def test_an_accumulator_has_a_histogram_and_no_ranges() -> None:
    drawn = of_activations(observed(normal(100)), None, ("N", 5))
    assert sum(drawn.histogram.counts) == 100
    assert drawn.ranges == ()
    assert drawn.sweep is None
    assert drawn.to_dict()["shape"] == ("N", 5)


def test_the_sweep_over_activations_is_what_each_scale_does_to_them() -> None:
    x = normal(100_000)
    sweep = of_activations(observed(x), GRID).sweep
    assert sweep is not None
    for index in (0, 13, 20, 40):
        grid = QParams(GRID.scale * FACTORS[index], GRID.zero_point, UINT8)
        noise = (x - simulate(x, grid)).square().mean()
        expected = 10 * math.log10(x.square().mean() / noise)
        assert sweep.sqnr_db[index] == pytest.approx(expected, abs=0.2)


def test_weights_are_shown_in_codes_of_their_channel() -> None:
    weight = normal(8, 4, 3, 3) * torch.logspace(-3, 3, 8).reshape(8, 1, 1, 1)
    rows = weight.flatten(1)
    grid = symmetric(rows.amin(1), rows.amax(1), INT8, axis=0)
    drawn = of_weights(weight, grid)
    assert sum(drawn.histogram.counts) == weight.numel()
    assert drawn.histogram.low == pytest.approx(-127)
    by_name = {each.name: each for each in drawn.ranges}
    assert by_name["in use"].high == 127
    assert by_name["MinMax"].high == pytest.approx(127)
    assert by_name["MinMax"].low == pytest.approx(-127)
    assert 0 < by_name["Sigma"].high <= 127.001


def test_the_sweep_over_weights_is_what_each_scale_does_to_them() -> None:
    weight = normal(8, 36) * torch.logspace(-1, 1, 8).reshape(8, 1)
    grid = symmetric(weight.amin(1), weight.amax(1), INT8, axis=0)
    sweep = of_weights(weight, grid).sweep
    assert sweep is not None
    assert sweep.factors[20] == 1.0
    for index in (5, 20, 33):
        moved = QParams(grid.scale * FACTORS[index], grid.zero_point, INT8, axis=0)
        noise = (weight - simulate(weight, moved)).square().sum()
        expected = 10 * math.log10(weight.square().sum() / noise)
        assert sweep.sqnr_db[index] == pytest.approx(expected, abs=0.05)


def test_weights_with_one_scale_and_few_bits_are_drawn_too() -> None:
    grid = per_tensor(0.5, 0, IntegerType(4, signed=True))
    drawn = of_weights(normal(3, 5), grid)
    assert drawn.histogram.low == -7
    assert drawn.ranges[0].high == 7


def test_weights_of_zeros_do_not_break_the_sweep() -> None:
    grid = symmetric(torch.zeros(2), torch.zeros(2), INT8, axis=0)
    sweep = of_weights(torch.zeros(2, 3), grid).sweep
    assert sweep is not None
    assert set(sweep.sqnr_db) == {math.inf}
