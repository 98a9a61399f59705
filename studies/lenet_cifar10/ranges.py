"""What values there are: the extremes of weights and activations, and three sigmas around the mean.

Activations are what the next layer reads, behind ReLU and pooling, as in the report; those of fc3
are the logits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from studies.lenet_cifar10.network import LAYERS, LeNet

SIGMAS = 3
BINS = 64
"""A divisor of 256: no bin holds more of the input's levels than another."""


@dataclass(frozen=True)
class Range:
    low: float
    high: float
    mean: float
    sigma: float

    @property
    def three_sigma(self) -> tuple[float, float]:
        """[mean - 3 sigma, mean + 3 sigma]."""
        return self.mean - SIGMAS * self.sigma, self.mean + SIGMAS * self.sigma

    @property
    def largest(self) -> float:
        """max |r|."""
        return max(-self.low, self.high)

    @property
    def largest_in_three_sigma(self) -> float:
        """The same of the three-sigma range, which may be beyond all data."""
        low, high = self.three_sigma
        return max(-low, high)


def range_of(x: Tensor) -> Range:
    x = x.detach().double()
    return Range(x.min().item(), x.max().item(), x.mean().item(), x.std(correction=0).item())


def weights(model: LeNet) -> dict[str, Tensor]:
    """The weights of every layer by its name."""
    return {name: model.get_parameter(f"{name}.weight").detach() for name in LAYERS}


def activations(model: LeNet, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """The "input" and the outputs of every layer over all images, by name."""
    seen: dict[str, list[Tensor]] = {name: [] for name in ("input", *LAYERS)}
    with torch.no_grad():
        for x in batches:
            for name, value in zip(seen, outputs(model, x), strict=True):
                seen[name].append(value)
    return {name: torch.cat(parts) for name, parts in seen.items()}


def outputs(model: LeNet, x: Tensor) -> list[Tensor]:
    """The input and what each layer hands on."""
    first = model.pool(model.relu(model.conv1(x)))  # (N, 12, 14, 14)
    second = model.pool(model.relu(model.conv2(first)))  # (N, 32, 6, 6)
    third = model.relu(model.fc1(second.flatten(1)))  # (N, 256)
    fourth = model.relu(model.fc2(third))  # (N, 64)
    return [x, first, second, third, fourth, model.fc3(fourth)]


def draw(panels: dict[str, Tensor], file: Path) -> None:
    """A histogram for each tensor; the actual range in black, three sigmas in red."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 4
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(12, 2.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns).flatten()
    for axis, (name, x) in zip(axes, panels.items(), strict=False):
        found = range_of(x)
        axis.hist(x.flatten().numpy(), bins=BINS, log=True, color="0.7")
        for edge in (found.low, found.high):
            axis.axvline(edge, color="black", linewidth=1)
        for edge in found.three_sigma:
            axis.axvline(edge, color="tab:red", linewidth=1, linestyle="--")
        axis.set_title(name, fontsize=10)
        axis.tick_params(which="both", labelsize=8)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    axes[-1].plot([], [], color="black", label="actual range")
    axes[-1].plot([], [], color="tab:red", linestyle="--", label="three sigmas")
    axes[-1].legend(loc="center")
    figure.savefig(file, dpi=90, metadata={"Software": None})
