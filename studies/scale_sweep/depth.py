"""One to ten layers of 3x3 with ReLU between them: where unscaled integers end.

    as the blog    q_w = floor(64 w), q_b = floor(64 b) in every layer; only the end is divided
    nearest        the same, rounded to the nearest
    bias scaled    q_b = floor(64^l b) in layer l, where the sums are 64^l times the real ones
    both           the two together
    both in int32  that, on the image's own integers 0..255, in sums of 32 bits that wrap around
    requantized    zeropoint.quantize: int32 sums, each layer's result brought back to 8 bits

All are divided by the factor that suits them best, which is more than a user could know. Weights
are He's, which keep the signal's strength from layer to layer; torch's own let it fade.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zeropoint as zp
from studies.scale_sweep.norm_factor import Facts
from studies.scale_sweep.photograph import BRIGHTEST, PHOTOGRAPHS, colour
from zeropoint.observe.error import sqnr_db
from zeropoint.report.sweep.tensor import Rounding

PLAIN = zp.Recipe(bias_correction=False, gptq=False, equalize=False)
"""Rounded and nothing else: what rounding costs is what is looked for."""

DEPTHS = (1, 2, 3, 5, 10)
FACTOR = 64.0
VARIANTS = ("as the blog", "nearest", "bias scaled", "both", "both in int32", "requantized")
CHANNELS = 10
EVERY = 2
"""Every second pixel of the photograph: ten layers in exact integers take their time."""

WORD = 2.0**32

Layers = Sequence[tuple[Tensor, Tensor]]


def image(name: str = PHOTOGRAPHS[0]) -> Tensor:
    return colour(name)[:, :, ::EVERY, ::EVERY].contiguous()


def network(depth: int, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for index in range(depth):
        conv = nn.Conv2d(CHANNELS if index else 3, CHANNELS, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def study(depth: int, seed: int) -> Facts:
    """The SQNR of each variant in dB, and the bits of its largest number."""
    model, x = network(depth, seed), image()
    layers = [
        (conv.weight.detach().double(), conv.bias.detach().double())
        for conv in model
        if isinstance(conv, nn.Conv2d) and conv.bias is not None
    ]
    real = run(layers, x.double())
    pixels = x.double()
    variants = {
        "as the blog": integers(layers, Rounding.FLOOR, grows=False),
        "nearest": integers(layers, Rounding.NEAREST, grows=False),
        "bias scaled": integers(layers, Rounding.FLOOR),
        "both": integers(layers, Rounding.NEAREST),
    }
    found = {name: run(variant, pixels) for name, variant in variants.items()}
    codes = torch.round(pixels * BRIGHTEST)
    whole = integers(layers, Rounding.NEAREST, unit=BRIGHTEST)
    images = [x, image(PHOTOGRAPHS[1])]
    quantized = zp.quantize(model, images, PLAIN, engine="reference")
    return {
        **{name: best_db(real, output) for name, output in found.items()},
        "both in int32": best_db(real, run(whole, codes, wrapped)),
        "requantized": db(real, quantized(x).double()),
        "bits": math.log2(run(whole, codes).abs().max().item()) + 1,
        "floored_mean": relative_mean(real, found["bias scaled"] / FACTOR**depth),
    }


def integers(
    layers: Layers, rounding: Rounding, *, grows: bool = True, unit: float = 1.0
) -> list[tuple[Tensor, Tensor]]:
    """Weights times 64, and biases times that or times what the sums of the layer are scaled by.

    `unit` is how many steps an input of 1 has.
    """
    return [
        (
            rounding.of(FACTOR * weight),
            rounding.of((unit * FACTOR**depth if grows else FACTOR) * bias),
        )
        for depth, (weight, bias) in enumerate(layers, start=1)
    ]


def as_it_is(x: Tensor) -> Tensor:
    return x


def wrapped(x: Tensor) -> Tensor:
    """A sum of integers as int32 keeps it. Exact: a float64 holds 53 bits, and these need 44."""
    return torch.remainder(x + WORD / 2, WORD) - WORD / 2


def run(layers: Layers, x: Tensor, keep: Callable[[Tensor], Tensor] = as_it_is) -> Tensor:
    for index, (weight, bias) in enumerate(layers):
        x = x if index == 0 else x.relu()
        x = keep(F.conv2d(x, weight, keep(bias), padding=1))
    return x


def best_db(real: Tensor, integers: Tensor) -> float:
    """The SQNR with the divisor of least squared error."""
    energy = integers.square().sum()
    share = (real * integers).sum() / energy if energy > 0 else 0.0
    return db(real, integers * share)


def db(real: Tensor, found: Tensor) -> float:
    return sqnr_db(real.square().sum().item(), (real - found).square().sum().item())


def relative_mean(real: Tensor, found: Tensor) -> float:
    """The mean difference, as a share of the output's root mean square."""
    return ((real - found).mean() / real.square().mean().sqrt()).item()
