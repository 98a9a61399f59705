import json
from fractions import Fraction
from math import floor
from statistics import mean

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.results import filled
from studies.lenet_cifar10.integer import (
    IntegerLayer,
    IntegerLeNet,
    Scales,
    input_codes,
    integer_network,
)
from studies.lenet_cifar10.ladder import (
    Exam,
    Observed,
    actual,
    calibration_images,
    integer_features,
    observe,
    with_integer_weights,
)
from studies.lenet_cifar10.network import LAYERS, LeNet
from studies.lenet_cifar10.page import scores, tables
from studies.lenet_cifar10.ranges import activations, range_of, weights
from studies.lenet_cifar10.scores import in_batches, score, sqnr_db
from studies.lenet_cifar10.training import (
    BIASED,
    HERE,
    PLAIN,
    Training,
    dataset,
    everything,
    trained,
)
from zeropoint.arithmetic.fixed_point import multipliers, multiply

RESULTS = json.loads((HERE / "results.json").read_text())
SEEDS = RESULTS["seeds"]
Integers = NDArray[np.int64]


# --- what is committed -------------------------------------------------------------------------


def test_the_page_shows_the_committed_results() -> None:
    page = (HERE / "README.md").read_text()
    assert filled(page, {"results": tables(RESULTS)}) == page


def test_float_is_clearly_better_than_the_report() -> None:
    assert all(found.percent > 60.88 + 4 for found in scores(SEEDS, "plain", "float"))
    assert all(found.percent > 60.88 + 4 for found in scores(SEEDS, "biased", "float"))


@pytest.mark.parametrize("rung", ["weights", "integer", "zeropoint"])
def test_int8_costs_at_most_015_points(rung: str) -> None:
    assert abs(mean(found.change for found in scores(SEEDS, "plain", rung))) <= 0.15


@pytest.mark.parametrize("training", ["biased", "short"])
def test_a_bias_at_the_accumulators_scale_costs_at_most_015_points(training: str) -> None:
    for rung in ("integer", "zeropoint"):
        assert abs(mean(found.change for found in scores(SEEDS, training, rung))) <= 0.15


@pytest.mark.parametrize(("training", "least"), [("biased", 0.3), ("short", 1.0)])
def test_a_bias_that_is_not_scaled_is_visibly_worse(training: str, least: float) -> None:
    scaled, unscaled = (scores(SEEDS, training, key) for key in ("integer", "not scaled"))
    assert mean(a.change - b.change for a, b in zip(scaled, unscaled, strict=True)) >= least
    for a, b in zip(scaled, unscaled, strict=True):
        assert b.gained + b.lost >= 2 * (a.gained + a.lost)


def test_committed_weights_reach_the_committed_accuracy() -> None:
    if not dataset("test").endswith(".parquet"):
        pytest.skip("CIFAR-10 is not here: set ZEROPOINT_DATA to a folder with cifar10/*.parquet")
    exam = Exam(*everything("test"), calibration_images())
    model = trained(PLAIN, 0)
    network = integer_network(model, *actual(observe(model, exam)))
    codes = network.logits(integer_features(network, exam.images))
    found = score(codes, in_batches(model, exam.images), exam.labels, same_scale=False)
    committed = SEEDS["0"]["plain"]
    # Float32 sums differ between machines, and an answer may hang on the last bit.
    assert found.right == pytest.approx(committed["integer"]["right"], abs=5)
    assert found.right - found.gained + found.lost == pytest.approx(
        committed["float"]["right"], abs=2
    )


# --- the integer network -----------------------------------------------------------------------


@pytest.mark.parametrize("training", [PLAIN, BIASED])
def test_the_integer_network_is_what_fractions_make_of_it(training: Training) -> None:
    network, images = network_of(trained(training, 0))
    codes = input_codes(images, network)
    found = network.logits(network.features(codes))
    assert np.array_equal(found.numpy(), by_definition(network, codes.numpy().astype(np.int64)))


def network_of(model: LeNet) -> tuple[IntegerLeNet, Tensor]:
    """The integer form, and four images of noise that it is calibrated with."""
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seen = activations(model, [images])
    observed = Observed(
        {name: range_of(x) for name, x in weights(model).items()},
        {name: range_of(x) for name, x in seen.items()},
    )
    return integer_network(model, *actual(observed)), images


def by_definition(network: IntegerLeNet, q: Integers) -> Integers:
    """The logits' codes from sliding windows, matrix products and exact fractions."""
    for name in LAYERS:
        layer = network.layers[name]
        weight = layer.weight.numpy().astype(np.int64)
        if weight.ndim == 4:
            windows = np.lib.stride_tricks.sliding_window_view(q, weight.shape[2:], axis=(2, 3))
            sums = np.einsum("nchwyx,ocyx->nohw", windows, weight)
            q = pooled(rounded(sums, layer.scales, 0))
        else:
            sums = q.reshape(len(q), -1) @ weight.T + layer.bias.numpy()
            q = rounded(sums, layer.scales, -128 if name == "fc3" else 0)
    return q


def pooled(q: Integers) -> Integers:
    n, c, h, w = q.shape
    maxima: Integers = q.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
    return maxima


def rounded(sums: Integers, scales: Scales, low: int) -> Integers:
    mantissa, shift = scales.fixed_point
    multiplier = Fraction(mantissa, 2**shift)
    codes = [
        min(max(floor(int(each) * multiplier + Fraction(1, 2)), low), 127) for each in sums.flat
    ]
    return np.array(codes, dtype=np.int64).reshape(sums.shape)


def test_its_multipliers_and_rounding_are_those_of_the_library() -> None:
    scales = Scales(inputs=0.03, weights=0.002, outputs=0.05)
    sums = torch.arange(-60_000, 60_000, 7, dtype=torch.int32)
    layer = IntegerLayer(torch.zeros(1, 1), torch.zeros(1), scales)
    by = multipliers(torch.tensor(scales.multiplier, dtype=torch.float64))
    expected = multiply(sums, by, "single").clamp(-128, 127)
    assert torch.equal(layer.requantize(sums, -128), expected.to(torch.int32))


def test_a_mantissa_that_rounds_up_to_a_power_of_two_stays_in_its_bits() -> None:
    mantissa, shift = Scales(inputs=1.0, weights=1 - 2.0**-40, outputs=1.0).fixed_point
    assert (mantissa, shift) == (2**30, 30)


def test_its_logits_are_close_to_those_of_the_float_network() -> None:
    model = trained(BIASED, 0)
    network, images = network_of(model)
    fc3 = network.layers["fc3"]
    codes = network.logits(network.features(input_codes(images, network)))
    with torch.no_grad():
        error = (codes * fc3.scales.outputs - model(images)).abs().max()
    assert error <= 6 * fc3.scales.outputs  # steps of five layers, each rounded


def test_codes_out_of_range_are_refused() -> None:
    network, _ = network_of(trained(PLAIN, 0))
    with pytest.raises(AssertionError):
        network.features(torch.full((1, 3, 32, 32), 128, dtype=torch.int32))


def test_an_accumulator_that_could_overflow_is_refused() -> None:
    network, _ = network_of(trained(BIASED, 0))
    bias = torch.ones(10, dtype=torch.float64)
    with pytest.raises(AssertionError, match="fc3 may reach"):
        network.with_bias(bias, step=1 / (2**31 - 1))
    with pytest.raises(AssertionError, match="does not fit int32"):
        network.with_bias(bias, step=2.0**-31)


# --- the bias ----------------------------------------------------------------------------------


def test_a_bias_left_beside_integer_weights_is_lost() -> None:
    model, images = trained(BIASED, 0), torch.rand(16, 3, 32, 32) * 2 - 1
    observed = Observed({name: range_of(x) for name, x in weights(model).items()}, {})
    codes = with_integer_weights(model, observed)
    with torch.no_grad():
        unscaled = codes(images)
        nn.init.zeros_(codes.fc3.bias)
        assert torch.allclose(unscaled, codes(images), rtol=1e-6)


def test_the_scaled_bias_is_the_bias_in_units_of_the_accumulator() -> None:
    model = trained(BIASED, 0)
    fc3 = network_of(model)[0].layers["fc3"]
    error = fc3.bias * fc3.scales.accumulator - model.fc3.bias
    assert error.abs().max() <= fc3.scales.accumulator * (0.5 + 1e-3)


# --- scores ------------------------------------------------------------------------------------


def test_a_score_counts_what_only_one_of_two_networks_gets_right() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    reference = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    found = score(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.0]]), reference, labels)
    assert (found.right, found.gained, found.lost, found.ties) == (2, 1, 1, 1)
    assert found.change == 0
    assert found.agreement == 0.5


def test_the_ratio_of_signal_to_noise_is_in_decibels() -> None:
    real = torch.tensor([10.0, 0.0])
    assert sqnr_db(real, real) is None
    assert sqnr_db(real, torch.tensor([9.0, 0.0])) == pytest.approx(20.0)


# --- the page ----------------------------------------------------------------------------------
