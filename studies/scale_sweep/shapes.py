"""The blog's integers in other layers, beside weights on a grid of their own: one `sweep` each.

unscaled     floor(64 w), floor(64 b), the output divided by the best factor
tensor       nearest, the best scale for the whole tensor; bias in float
channel      nearest, each channel's scale from its own range; bias in float
tuned        the same, each channel's scale the best of its sweep
network      zeropoint.quantize: also the image and the sums are integers
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import zeropoint as zp
from studies.scale_sweep.norm_factor import Facts
from studies.scale_sweep.photograph import colour, grey
from zeropoint.observe.error import sqnr_db
from zeropoint.observe.min_max import MinMax
from zeropoint.report.sweep.curves import Sweep, least
from zeropoint.report.sweep.sweep import sweep
from zeropoint.report.sweep.tensor import Rounding, Weights

PLAIN = zp.Recipe(bias_correction=False, gptq=False, equalize=False)
"""Rounded and nothing else: what rounding costs is what is looked for."""

STEP = 1 / 64
DIVISORS = np.sort(np.concatenate([np.geomspace(16, 512, 81), np.arange(60, 70, 0.5)]))
AROUND = 2.0 ** np.arange(-1, 0.26, 0.125)
"""Scales, as shares of that of the whole range."""


@dataclass(frozen=True)
class Shape:
    """A convolution, of a colour image to ten channels or of a grey one to one."""

    kernel: int
    stride: int = 1
    relu: bool = False
    grey: bool = False

    def model(self, seed: int) -> nn.Sequential:
        torch.manual_seed(seed)
        channels = (1, 1) if self.grey else (3, 10)
        layers: list[nn.Module] = [nn.Conv2d(*channels, self.kernel, self.stride)]
        return nn.Sequential(*layers, *([nn.ReLU()] if self.relu else []))

    def image(self) -> Tensor:
        return grey() if self.grey else colour()

    def __str__(self) -> str:
        channels = "1 to 1" if self.grey else "3 to 10"
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        return f"{channels}, {self.kernel}x{self.kernel}{stride}{', ReLU' if self.relu else ''}"


SHAPES = (
    Shape(1),
    Shape(3),
    Shape(5),
    Shape(3, stride=2),
    Shape(5, stride=2),
    Shape(5, relu=True),
    Shape(2, grey=True),
    Shape(5, grey=True),
    Shape(5, stride=2, grey=True),
    Shape(5, relu=True, grey=True),
)


def study(shape: Shape, seed: int) -> Facts:
    """Greatest |difference|, its mean, and the SQNR of each, for a layer of these weights."""
    model, image = shape.model(seed).eval(), shape.image()
    unscaled = blogs_sweep(model, image)
    tensor = sweep(model, [image], layer="0", scales=around(model, None))
    return {
        "unscaled": point(unscaled) | {"factor": 1 / unscaled.best_for_output},
        "tensor": point(tensor),
        "channel": by_channel(model, image),
        "network": network(model, image),
    }


def blogs_sweep(model: nn.Module, image: Tensor) -> Sweep:
    """The blog's curve as a sweep: integers made once, read with one scale after another."""
    return sweep(
        model,
        [image],
        layer="0",
        of=Weights(step=STEP, bias=True),
        rounding=Rounding.FLOOR,
        scales=(1 / DIVISORS).tolist(),
    )


def curve(shape: Shape, seed: int) -> list[float]:
    """The SQNR of the blog's integers over DIVISORS."""
    curves = blogs_sweep(shape.model(seed).eval(), shape.image())
    decibels: list[float] = curves.output_errors.sqnr_db.tolist()
    return decibels


def around(model: nn.Sequential, channel: int | None) -> list[float]:
    weight = model.get_parameter("0.weight").detach()
    own = weight if channel is None else weight[channel]
    whole: list[float] = (own.abs().max().item() / 127 * AROUND).tolist()
    return whole


def point(curves: Sweep) -> Facts:
    """At the scale of least rms."""
    errors = curves.output_errors
    best = least(errors.rms)
    return {
        "max": float(errors.largest[best]),
        "mean": float(errors.mean[best]),
        "sqnr_db": float(errors.sqnr_db[best]),
    }


def by_channel(model: nn.Sequential, image: Tensor) -> Facts:
    """All channels at the scales that their ranges give: channels do not see each other."""
    curves = [
        sweep(model, [image], layer="0", scales=around(model, channel), channel=channel)
        for channel in range(len(model.get_parameter("0.weight")))
    ]
    at = list(curves[0].marks).index(MinMax())
    errors = [curve.layer_errors_at_marks for curve in curves]
    with torch.no_grad():
        signal = model(image).square().mean().item()
    return {
        "max": max(float(e.largest[at]) for e in errors),
        "mean": float(np.mean([e.mean[at] for e in errors])),
        "sqnr_db": sqnr_db(signal, float(np.mean([e.rms[at] ** 2 for e in errors]))),
        "tuned_db": sqnr_db(
            signal, float(np.mean([curve.layer_errors.rms.min() ** 2 for curve in curves]))
        ),
    }


def network(model: nn.Module, image: Tensor) -> Facts:
    """The whole layer in integers, calibrated on the image that it is measured on."""
    quantized = zp.quantize(model, [image], PLAIN, engine="reference")
    with torch.no_grad():
        real = model(image).to(torch.float64)
    error = real - quantized(image)
    return {
        "max": error.abs().max().item(),
        "mean": error.mean().item(),
        "sqnr_db": sqnr_db(real.square().mean().item(), error.square().mean().item()),
    }
