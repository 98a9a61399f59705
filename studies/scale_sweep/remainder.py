"""Why the optimum lies where it does, and what the remaining difference is made of.

With q = f w - d, where 0 <= d < 1 is what flooring drops, and f = 64,

    difference(n) = y (1 - f / n)  +  (sum d_i x_i + d_b) / n

The first term is zero at n = f alone. The second is never negative, since no pixel is, and no n
removes it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studies.scale_sweep.norm_factor import (
    BLOG,
    WIDER,
    Facts,
    Reading,
    layer,
    optimum,
    parameters,
    products,
)
from zeropoint.report.sweep.tensor import Rounding

HALF = 0.5
"""What flooring drops on average, in steps."""

ASIDE = 0.05
"""How far from the optimum the outputs that hold it are looked for."""

NEAREST = Reading(BLOG.divisor, Rounding.NEAREST)
FINER = Reading(1, BLOG.rounding)

VARIANTS: tuple[tuple[str, Reading, Reading | None, float], ...] = (
    ("as the blog", BLOG, BLOG, 0.0),
    ("bias in float", BLOG, None, 0.0),
    ("half a step added to weights and bias", BLOG, BLOG, HALF),
    ("nearest", NEAREST, NEAREST, 0.0),
    ("nearest, bias in float", NEAREST, None, 0.0),
    ("steps of 1/128", FINER, FINER, 0.0),
)
"""How weights and bias are rounded, and what is added to both, in steps."""


def explanation(x: Tensor, seed: int) -> Facts:
    """The second term, predicted from the dropped parts alone and measured at n = f."""
    conv = layer(seed)
    real, integers = products(conv, x, BLOG)
    error = (real - integers / BLOG.factor).to(torch.float64)
    weight, bias = (dropped(parameter) for parameter in parameters(conv))
    bright = x.mean((0, 2, 3))
    worst = int(error.amax((0, 2, 3)).argmax())
    return {
        "step": 1 / BLOG.factor,
        "dropped_of_a_weight": weight.mean().item(),
        "dropped_of_a_bias": bias.mean().item(),
        "mean": error.mean().item(),
        "mean_from_dropped": ((weight.flatten(1) @ bright + bias).mean() / BLOG.factor).item(),
        "mean_from_half_a_step": HALF * (bright.sum().item() + 1) / BLOG.factor,
        "max": error.max().item(),
        "max_from_dropped": ((weight[worst].sum() + bias[worst]) / BLOG.factor).item(),
        "worst_channel": worst,
        "balance": balance(real, integers, optimum(real, integers, WIDER * BLOG.factor)["factor"]),
    }


def dropped(parameter: Tensor) -> Tensor:
    """d = f w - floor(f w), in steps."""
    return parameter * BLOG.factor - BLOG.integers(parameter)


def balance(real: Tensor, integers: Tensor, factor: float) -> Facts:
    """The two outputs that hold the optimum: the worst with a smaller factor, and with a larger."""
    found = {}
    for name, n in (("smaller", (1 - ASIDE) * factor), ("larger", (1 + ASIDE) * factor)):
        error = real - integers / n
        found[name] = {"output": real.flatten()[error.argmax()].item(), "max": error.max().item()}
    return found


def variants(x: Tensor, seeds: range) -> dict[str, list[Facts]]:
    """The optimum with one thing changed at a time, for each seed."""
    found: dict[str, list[Facts]] = {variant[0]: [] for variant in VARIANTS}
    for seed in seeds:
        conv = layer(seed)
        real = F.conv2d(x, *parameters(conv))
        for name, of_weight, of_bias, shift in VARIANTS:
            integers = F.conv2d(x, *scaled(conv, of_weight, of_bias, shift))
            found[name].append(optimum(real, integers, WIDER * BLOG.factor))
    return found


def scaled(
    conv: nn.Conv2d, of_weight: Reading, of_bias: Reading | None, shift: float
) -> tuple[Tensor, Tensor]:
    """Weight and bias in units of the blog's step, each rounded as its reading says."""
    weight, bias = parameters(conv)
    q_weight = (of_weight.integers(weight) + shift) * (BLOG.factor / of_weight.factor)
    if of_bias is None:
        return q_weight, bias * BLOG.factor
    return q_weight, (of_bias.integers(bias) + shift) * (BLOG.factor / of_bias.factor)
