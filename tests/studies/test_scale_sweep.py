from statistics import median
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from benchmarks.machine import Machine
from benchmarks.results import filled
from studies.scale_sweep.__main__ import HERE, SEED, committed, rounded
from studies.scale_sweep.norm_factor import (
    BLOG,
    BLOGS_FACTORS,
    blogs_curves,
    curves,
    layer,
    parameters,
    products,
    readings,
)
from studies.scale_sweep.photograph import colour, grey
from studies.scale_sweep.remainder import dropped, explanation
from studies.scale_sweep.tables import spread, tables
from zeropoint.report.sweep.sweep import sweep
from zeropoint.report.sweep.tensor import Rounding, Weights

RESULTS = committed()
PAGE = (HERE / "README.md").read_text()


def middle(facts: list[dict[str, Any]], *path: str) -> float:
    """The median over the seeds of one number."""
    numbers = []
    for fact in facts:
        found: Any = fact
        for name in path:
            found = found[name]
        numbers.append(found)
    return float(median(numbers))


def close(found: Any, expected: Any) -> bool:
    """The same JSON data, up to what another machine's sums may differ by."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(close(found[k], expected[k]) for k in found)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    return bool(found == pytest.approx(expected, rel=1e-3, abs=1e-5))


def test_the_page_shows_the_committed_results() -> None:
    assert filled(PAGE, tables(RESULTS, Machine(**RESULTS["machine"]))) == PAGE


def test_the_figures_are_there_and_small() -> None:
    for name in ("norm_factor", "kernels", "depth", "activations"):
        figure = HERE / "figures" / f"{name}.svg"
        assert f"figures/{name}.svg" in PAGE
        assert 0 < figure.stat().st_size < 150_000


def test_the_blogs_curve_is_computed_again() -> None:
    assert close(rounded(blogs_curves(colour(), SEED)), RESULTS["curves"])


def test_the_explanation_is_computed_again() -> None:
    assert close(rounded(explanation(colour(), SEED)), RESULTS["explanation"])


def test_a_reading_of_the_lost_arguments_is_computed_again() -> None:
    x = colour()[:, :, ::4, ::4]
    found = readings(x, range(1))[str(BLOG)][0]
    assert found["max_difference_least_at"] == pytest.approx(64, abs=1.5)
    assert 0.03 < found["least_max_difference"] < 0.06


def test_a_sweep_with_a_step_of_its_own_gives_the_blogs_curve() -> None:
    x, conv = colour()[:, :, ::4, ::4], layer(SEED)
    high, low = curves(*products(conv, x, BLOG), BLOGS_FACTORS)
    result = sweep(
        torch.nn.Sequential(conv),
        [x],
        layer="0",
        of=Weights(step=1 / BLOG.factor, bias=True),
        rounding=Rounding.FLOOR,
        scales=(1 / BLOGS_FACTORS).tolist(),
    )
    assert result.output_errors.max == pytest.approx(high.numpy(), abs=1e-5)
    assert result.output_errors.min == pytest.approx(low.numpy(), abs=1e-5)


def test_dividing_the_output_is_fake_quantization_of_the_weights() -> None:
    """conv(x, q) / n = conv(x, q / n): of one layer, up to float32 rounding."""
    x, conv = colour()[:, :, ::4, ::4], layer(SEED)
    weight, bias = (BLOG.integers(parameter) for parameter in parameters(conv))
    divided = F.conv2d(x, weight, bias) / BLOG.factor
    scaled_back = F.conv2d(x, weight / BLOG.factor, bias / BLOG.factor)
    assert (divided - scaled_back).abs().max() < 1e-6


def test_the_clamp_of_the_blog_never_acts() -> None:
    for parameter in parameters(layer(SEED)):
        part = dropped(parameter)
        assert part.min() >= 0
        assert part.max() < 1


def test_only_one_reading_has_its_optimum_on_the_blogs_axis_and_leaves_004() -> None:
    for found in RESULTS["readings"].values():
        fitting = [
            reading
            for reading, seeds in found.items()
            if 58 <= middle(seeds, "max_difference_least_at") <= 66
            and 0.03 <= middle(seeds, "least_max_difference") <= 0.05
        ]
        assert fitting == [str(BLOG)]


def test_the_remaining_difference_is_what_flooring_drops() -> None:
    facts = RESULTS["explanation"]
    assert facts["mean"] == pytest.approx(facts["mean_from_dropped"], rel=1e-3)
    assert facts["max"] == pytest.approx(facts["max_from_dropped"], rel=1e-3)


def test_nearest_rounding_leaves_less_than_half_of_it() -> None:
    found = RESULTS["remainder"]
    assert middle(found["nearest"], "rms") < 0.5 * middle(found["as the blog"], "rms")


@pytest.mark.parametrize("shape", RESULTS["shapes"])
def test_weights_on_a_grid_of_their_own_are_better_in_every_layer(shape: str) -> None:
    for facts in RESULTS["shapes"][shape]:
        unscaled = facts["unscaled"]["sqnr_db"]
        for name in ("tensor", "channel", "network"):
            assert facts[name]["sqnr_db"] > unscaled + 15
        assert facts["channel"]["tuned_db"] >= facts["channel"]["sqnr_db"]


def test_a_fixed_factor_fails_where_the_kernel_is_large() -> None:
    sqnr = [
        middle(RESULTS["shapes"][f"3 to 10, {k}x{k}"], "unscaled", "sqnr_db") for k in (1, 3, 5)
    ]
    assert sqnr[0] > 20
    assert sqnr == sorted(sqnr, reverse=True)
    assert sqnr[2] < 5


def test_sums_outgrow_32_bits_by_the_fifth_layer_and_requantization_keeps_them() -> None:
    for layers, seeds in RESULTS["depth"].items():
        fits = int(layers) <= 3
        assert all((facts["bits"] < 32) == fits for facts in seeds)
        assert all((facts["both in int32"] > 20) == fits for facts in seeds)
        assert all(facts["requantized"] > 20 for facts in seeds)
        assert all(facts["requantized"] > facts["both"] for facts in seeds)


def test_flooring_and_biases_left_behind_each_cost_accuracy() -> None:
    for layers, seeds in RESULTS["depth"].items():
        if int(layers) > 1:
            assert middle(seeds, "both") > middle(seeds, "bias scaled") + 10
            assert middle(seeds, "both") > middle(seeds, "nearest") + 4


def test_a_spread_is_the_median_with_the_ends() -> None:
    seeds = [{"v": 3.0}, {"v": 1.0}, {"v": 2.0}]
    assert spread(seeds, "v", "{:.0f}".format) == "2 (1 to 3)"
    assert spread(seeds[:1], "v", "{:.0f}".format) == "3"


def test_grey_is_one_channel_of_the_same_photograph() -> None:
    assert grey().shape == (1, 1, *colour().shape[2:])
    assert 0 <= grey().min() < grey().max() <= 1
