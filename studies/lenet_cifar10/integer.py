"""The report's integer network, written out: int8 codes, int32 sums, one multiplier for each layer.

    q   = clamp(round(r / S), -128, 127)      S = max|r| / 127       no zero points: symmetric
    acc = sum q1 q2 + q_b                     q_b = round(b / (S1 S2))
    q3  = clamp(round(M acc), low, 127)       M = S1 S2 / S3 = m 2^-n (the report's equation 8)

q1 are the layer's inputs, q2 its weights, q3 its outputs; `low` is 0 where a ReLU follows, else
-128. m and n are integers: behind `input_codes` there is no float. `round` is half up, a shift.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from studies.lenet_cifar10.network import LAYERS, LeNet

LOW, HIGH = -128, 127
INT32_MAX = 2**31 - 1
MANTISSA_BITS = 31
POOL = 2


@dataclass(frozen=True)
class Scales:
    """S1 of a layer's inputs, S2 of its weights, S3 of its outputs."""

    inputs: float
    weights: float
    outputs: float

    @property
    def accumulator(self) -> float:
        """S1 S2: what one unit of the int32 sum is worth."""
        return self.inputs * self.weights

    @property
    def multiplier(self) -> float:
        """M = S1 S2 / S3."""
        return self.accumulator / self.outputs

    @property
    def fixed_point(self) -> tuple[int, int]:
        """(m, n), M = m 2^-n and 2^30 <= m < 2^31."""
        fraction, exponent = math.frexp(self.multiplier)
        mantissa, shift = round(fraction * 2**MANTISSA_BITS), MANTISSA_BITS - exponent
        return (mantissa // 2, shift - 1) if mantissa == 2**MANTISSA_BITS else (mantissa, shift)


@dataclass(frozen=True)
class IntegerLayer:
    """Weight codes in [-127, 127] and bias codes, both stored as int32."""

    weight: Tensor
    bias: Tensor  # (O,), zeros where the float layer has none
    scales: Scales

    def accumulate(self, q: Tensor) -> Tensor:
        """Acc: int32, for codes (N, C, H, W) or (N, C)."""
        if self.weight.ndim == 4:
            return functional.conv2d(q, self.weight) + self.bias.reshape(-1, 1, 1)
        return functional.linear(q, self.weight) + self.bias

    def requantize(self, accumulator: Tensor, low: int) -> Tensor:
        """q3: the codes of the outputs, int32."""
        mantissa, shift = self.scales.fixed_point
        half = 1 << (shift - 1)
        q = (accumulator.to(torch.int64) * mantissa + half) >> shift
        return q.clamp(low, HIGH).to(torch.int32)

    def bound(self) -> int:
        """No accumulator of this layer is further from zero than this."""
        rows = self.weight.reshape(len(self.weight), -1).to(torch.int64)
        return int((rows.abs().sum(1) * -LOW + self.bias.to(torch.int64).abs()).max())


@dataclass(frozen=True)
class IntegerLeNet:
    """The layers by name; codes in, codes out."""

    layers: Mapping[str, IntegerLayer]

    def features(self, q: Tensor) -> Tensor:
        """What fc3 reads: (N, 3, 32, 32) -> (N, 64)."""
        q = functional.max_pool2d(self._relu("conv1", q), POOL)  # (N, 12, 14, 14)
        q = functional.max_pool2d(self._relu("conv2", q), POOL)  # (N, 32, 6, 6)
        q = self._relu("fc1", q.flatten(1))  # (N, 256)
        return self._relu("fc2", q)

    def logits(self, features: Tensor) -> Tensor:
        """fc3's codes (N, 10), in [-128, 127] like all others."""
        layer = self.layers["fc3"]
        return layer.requantize(layer.accumulate(checked(features)), LOW)

    def _relu(self, name: str, q: Tensor) -> Tensor:
        layer = self.layers[name]
        return layer.requantize(layer.accumulate(checked(q)), 0)

    def with_bias(self, bias: Tensor, step: float) -> "IntegerLeNet":
        """The network whose fc3 adds round(bias / step) to its accumulators."""
        codes = torch.round(bias.detach().double() / step)
        assert codes.abs().max() <= INT32_MAX, "the bias does not fit int32"
        fc3 = replace(self.layers["fc3"], bias=codes.to(torch.int32))
        layers = {**self.layers, "fc3": fc3}
        return IntegerLeNet(checked_layers(layers))


def integer_network(
    model: LeNet, activations: Mapping[str, float], weights: Mapping[str, float]
) -> IntegerLeNet:
    """The network in integers, its bias at S1 S2; what lies beyond the given ranges is clipped.

    `activations` is the largest |r| of "input" and of every layer's outputs, `weights` that of
    every layer's weights.
    """
    layers = {}
    inputs = activations["input"] / HIGH
    for name in LAYERS:
        weight = model.get_parameter(f"{name}.weight")
        scales = Scales(inputs, weights[name] / HIGH, activations[name] / HIGH)
        codes = weight_codes(weight, scales.weights)
        layers[name] = IntegerLayer(codes, torch.zeros(len(codes), dtype=torch.int32), scales)
        inputs = scales.outputs
    network = IntegerLeNet(checked_layers(layers))
    if model.fc3.bias is None:
        return network
    return network.with_bias(model.fc3.bias, layers["fc3"].scales.accumulator)


def weight_codes(weight: Tensor, scale: float) -> Tensor:
    """q2 in [-127, 127], as int32."""
    steps = torch.round(weight.detach().double() / scale)
    return steps.clamp(-HIGH, HIGH).to(torch.int32)


def input_codes(images: Tensor, network: IntegerLeNet) -> Tensor:
    """The images as integers: the one place where a float becomes a code."""
    steps = torch.round(images / network.layers["conv1"].scales.inputs)
    return steps.clamp(LOW, HIGH).to(torch.int32)


def checked(q: Tensor) -> Tensor:
    """The codes, seen to be integers in [-128, 127] as the report demands."""
    assert q.dtype == torch.int32
    assert q.min() >= LOW
    assert q.max() <= HIGH
    return q


def checked_layers(layers: dict[str, IntegerLayer]) -> dict[str, IntegerLayer]:
    """The layers, seen to be unable to overflow int32 whatever codes they are given."""
    for name, layer in layers.items():
        assert layer.bound() <= INT32_MAX, f"{name} may reach {layer.bound()}"
    return layers
