"""The blog's experiment, with its broken line mended in four ways, and its curves.

    difference(n) = conv(x, w, b) - conv(x, Q(w), Q(b)) / n          n from 58 to 66

The printed code ends in the middle of a call: `torch.div(torch.clamp(w * 128, min=-128, max=127),`.
The arguments that are lost decide where the optimum lies.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeropoint.report.sweep.tensor import Rounding

TIMES = 128
LOW, HIGH = -128, 127

Facts = dict[str, Any]  # numbers by name, as they go into results.json


@dataclass(frozen=True)
class Reading:
    """What may have followed: a divisor, and `rounding_mode`."""

    divisor: int
    rounding: Rounding

    @property
    def factor(self) -> float:
        """How many steps a weight of 1 is."""
        return TIMES / self.divisor

    def integers(self, parameter: Tensor) -> Tensor:
        """The integers, as real numbers."""
        return self.rounding.of(torch.clamp(parameter * TIMES, LOW, HIGH) / self.divisor)

    def __str__(self) -> str:
        return f"{self.divisor}, {self.rounding}"


BLOG = Reading(2, Rounding.FLOOR)
READINGS = (
    Reading(1, Rounding.FLOOR),
    BLOG,
    Reading(2, Rounding.TRUNC),
    Reading(2, Rounding.NEAREST),
)

BLOGS_FACTORS = torch.arange(58, 66, 0.1, dtype=torch.float64)
"""The blog's x axis."""

WIDER = torch.arange(58, 70.05, 0.1, dtype=torch.float64) / 64
"""The factors in which an optimum is looked for, as shares of the reading's own."""


def layer(seed: int) -> nn.Conv2d:
    """The blog's layer: random weights and biases in +-1 / sqrt(3)."""
    torch.manual_seed(seed)
    return nn.Conv2d(3, 10, 1)


def parameters(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    assert conv.bias is not None  # the layer has one by default
    return conv.weight.detach(), conv.bias.detach()


def products(conv: nn.Conv2d, x: Tensor, reading: Reading) -> tuple[Tensor, Tensor]:
    """The float output, and the output of the integers before it is divided."""
    weight, bias = parameters(conv)
    return F.conv2d(x, weight, bias), F.conv2d(x, reading.integers(weight), reading.integers(bias))


def curves(real: Tensor, integers: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest and the least difference for each factor."""
    extremes = [torch.aminmax(real - integers / n) for n in factors.tolist()]
    low, high = zip(*extremes, strict=True)
    return torch.stack(high), torch.stack(low)


def optimum(real: Tensor, integers: Tensor, factors: Tensor) -> Facts:
    """The factor of least greatest |difference|, and the differences there."""
    high, low = curves(real, integers, factors)
    best = int(torch.maximum(high, -low).argmin())
    error = (real - integers / factors[best].item()).to(torch.float64)
    return {
        "factor": factors[best].item(),
        "max": high[best].item(),
        "min": low[best].item(),
        "mean": error.mean().item(),
        "rms": error.square().mean().sqrt().item(),
        "max_difference_least_at": factors[int(high.argmin())].item(),
        "least_max_difference": high.min().item(),
    }


def readings(x: Tensor, seeds: range) -> dict[str, list[Facts]]:
    """The optimum of each reading, for each seed."""
    return {
        str(reading): [
            optimum(*products(layer(seed), x, reading), WIDER * reading.factor) for seed in seeds
        ]
        for reading in READINGS
    }


def blogs_curves(x: Tensor, seed: int) -> dict[str, list[float]]:
    high, low = curves(*products(layer(seed), x, BLOG), BLOGS_FACTORS)
    return {"factors": BLOGS_FACTORS.tolist(), "max": high.tolist(), "min": low.tolist()}
