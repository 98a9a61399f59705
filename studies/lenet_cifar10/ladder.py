"""The report's ladder: from the float network, step by step, to integers.

    float -> int8 weights -> int8 activations too            without a bias
    float -> all int8, bias not scaled -> bias at S1 S2      with a bias in fc3

Every rung is paired with the float network on the same images.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

import zeropoint as zp
from studies.lenet_cifar10 import ranges
from studies.lenet_cifar10.integer import (
    IntegerLeNet,
    Scales,
    input_codes,
    integer_network,
    weight_codes,
)
from studies.lenet_cifar10.network import LAYERS, LeNet
from studies.lenet_cifar10.ranges import Range, range_of
from studies.lenet_cifar10.scores import Score, in_batches, score
from studies.lenet_cifar10.training import images_of

CALIBRATION_IMAGES = 512
CALIBRATION_BATCH = 32
CALIBRATION_SEED = 0


@dataclass(frozen=True)
class Reading:
    """fc3 adds round(bias / step) to its int32 accumulators."""

    name: str
    step: Callable[[Scales, Tensor], float]


CORRECT = Reading("at S1 S2", lambda scales, bias: scales.accumulator)
UNSCALED = Reading("not scaled", lambda scales, bias: 1.0)
WRONG = (
    UNSCALED,
    Reading("at S3", lambda scales, bias: scales.outputs),
    Reading("on an int8 grid of its own", lambda scales, bias: bias.abs().max().item() / 127),
    # q3 + b = round(M (acc + b / M))
    Reading("not scaled, after M", lambda scales, bias: scales.multiplier),
    Reading("at S1 S2, after M", lambda scales, bias: scales.accumulator * scales.multiplier),
)


MIN_MAX = zp.TensorSpec(calibrator=zp.MinMax())
RECIPES = {
    "zeropoint, min-max, per tensor": zp.Recipe(
        weights=zp.TensorSpec(granularity=zp.PerTensor(), calibrator=zp.MinMax()),
        activations=MIN_MAX,
        bias_correction=False,
        gptq=False,
        equalize=False,
    ),
    "zeropoint, min-max": zp.Recipe(
        activations=MIN_MAX, bias_correction=False, gptq=False, equalize=False
    ),
    "zeropoint": zp.Recipe(),
}
"""From the report's choices to the default recipe."""


@dataclass(frozen=True)
class Exam:
    """The images that every network is judged by, and those that it is calibrated with."""

    images: Tensor
    labels: Tensor
    calibration: list[Tensor]


def calibration_images() -> list[Tensor]:
    """Batches of training images."""
    batches = images_of(
        "train",
        batch_size=CALIBRATION_BATCH,
        samples=CALIBRATION_IMAGES,
        shuffle_seed=CALIBRATION_SEED,
    )
    return [x for x, _ in batches]


@dataclass(frozen=True)
class Observed:
    """The ranges of a network's weights and activations, by name."""

    weights: Mapping[str, Range]
    activations: Mapping[str, Range]


def observe(model: LeNet, exam: Exam) -> Observed:
    seen = ranges.activations(model, exam.calibration)
    return Observed(
        {name: range_of(x) for name, x in ranges.weights(model).items()},
        {name: range_of(x) for name, x in seen.items()},
    )


def rungs(model: LeNet, observed: Observed, exam: Exam) -> dict[str, Score]:
    """Every rung by name, the float network first; a bias is at S1 S2."""
    real = in_batches(model, exam.images)
    network = integer_network(model, *actual(observed))
    features = integer_features(network, exam.images)
    layer = network.layers["fc3"]
    codes = layer.accumulate(features) * layer.scales.accumulator
    quantized = {
        name: zp.quantize(model, exam.calibration, recipe, samples=CALIBRATION_IMAGES)
        for name, recipe in RECIPES.items()
    }
    return {
        "float": score(real, real, exam.labels),
        "weights": score(
            in_batches(with_integer_weights(model, observed), exam.images),
            real,
            exam.labels,
            same_scale=False,
        ),
        "integer": score(network.logits(features) * layer.scales.outputs, real, exam.labels),
        "integer, logits as accumulators": score(codes, real, exam.labels),
        **{
            name: score(in_batches(q, exam.images), real, exam.labels)
            for name, q in quantized.items()
        },
    }


def readings(model: LeNet, observed: Observed, exam: Exam) -> dict[str, Score]:
    """Each wrong reading of the bias by name, in the integer network; only fc3 differs."""
    real = in_batches(model, exam.images)
    network = integer_network(model, *actual(observed))
    features = integer_features(network, exam.images)
    scales, bias = network.layers["fc3"].scales, model.fc3.bias
    return {
        reading.name: score(
            network.with_bias(bias, reading.step(scales, bias)).logits(features),
            real,
            exam.labels,
            same_scale=False,
        )
        for reading in WRONG
    }


def three_sigmas(model: LeNet, observed: Observed, exam: Exam) -> dict[str, Score]:
    """The integer network with ranges of three sigmas in place of the actual ones."""
    real = in_batches(model, exam.images)
    activations, weights = actual(observed)
    narrow_activations = {
        name: found.largest_in_three_sigma for name, found in observed.activations.items()
    }
    narrow_weights = {
        name: found.largest_in_three_sigma for name, found in observed.weights.items()
    }
    networks = {
        "actual ranges": integer_network(model, activations, weights),
        "three sigmas for the weights": integer_network(model, activations, narrow_weights),
        "three sigmas for the activations": integer_network(model, narrow_activations, weights),
        "three sigmas for both": integer_network(model, narrow_activations, narrow_weights),
    }
    return {
        name: score(
            network.logits(integer_features(network, exam.images)),
            real,
            exam.labels,
            same_scale=False,
        )
        for name, network in networks.items()
    }


def actual(observed: Observed) -> tuple[dict[str, float], dict[str, float]]:
    """The largest |r| of the activations and of the weights, by name."""
    return (
        {name: found.largest for name, found in observed.activations.items()},
        {name: found.largest for name, found in observed.weights.items()},
    )


def integer_features(network: IntegerLeNet, images: Tensor) -> Tensor:
    return in_batches(lambda x: network.features(input_codes(x, network)), images)


def with_integer_weights(model: LeNet, observed: Observed) -> LeNet:
    """The float network with the codes of its weights in their place, as the report runs it.

    Nothing undoes the scales: without biases they only multiply the logits, by about 10^13. A bias
    stays as it is, and is lost beside such logits.
    """
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for name in LAYERS:
            weight = copied.get_parameter(f"{name}.weight")
            scale = observed.weights[name].largest / 127
            weight.copy_(weight_codes(weight, scale))
    return copied
