"""Networks with one problem planted, and what has to become of it."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import images, lowered, seeded
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph
from zeropoint.passes import simplify
from zeropoint.report.analysis.analysis import Analysis
from zeropoint.report.analysis.finding import Finding
from zeropoint.report.analysis.survey import Survey

TOLERANCE_DB = 1.0
"""How much less than predicted the layer's own SQNR may gain."""

MOST_DB = 60.0
"""Beyond that float32 itself is the error."""


class Chain(nn.Module):
    """(N, C, 8, 8) to (N, 5): two convolutions, a mean and a layer; `between` is on the way."""

    def __init__(self, between: nn.Module | None = None, channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1)
        self.act1 = nn.ReLU() if between is None else between
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.act2 = nn.ReLU()
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.conv1(x))
        x = self.act2(self.conv2(x))
        y: Tensor = self.fc(x.mean((2, 3)))
        return y


def chain(between: nn.Module | None = None, channels: int = 3) -> Chain:
    model = seeded(Chain(between, channels))
    assert isinstance(model, Chain)
    return model


def analyzed(model: nn.Module, recipe: zp.Recipe, x: Tensor) -> Analysis:
    """What is found after quantizing and analyzing on the same images."""
    graph = captured(model)
    survey = Survey(graph, lowered(graph, x, recipe=recipe))
    survey.add((x,))
    return survey.analysis()


@cache
def captured(model: nn.Module) -> Graph:
    """The model as a graph, captured once: it takes images of any size."""
    channels = next(p.shape[1] for p in model.parameters() if p.ndim == 4)
    return simplify(capture(model, (images(2, channels),)))


def the_finding(analysis: Analysis, check: str, layer: str) -> Finding:
    """The only finding of a check about a layer."""
    (found,) = [f for f in analysis.findings if (f.check, f.layer) == (check, layer)]
    return found


def assert_mended(model: nn.Module, recipe: zp.Recipe, x: Tensor, check: str, layer: str) -> None:
    """The check finds the layer, and the change it proposes gains what it predicts."""
    before = analyzed(model, recipe, x)
    finding = the_finding(before, check, layer)
    assert finding.own_gain_db is not None
    assert finding.output_gain_db is not None
    assert finding.output_gain_db > 0
    after = analyzed(model, finding.applied_to(recipe), x)
    gained = after.layer(finding.value).own_db - before.layer(finding.value).own_db
    assert gained >= min(finding.own_gain_db, MOST_DB) - TOLERANCE_DB
    assert after.output_sqnr_db > before.output_sqnr_db
    assert check not in [other.check for other in after.findings if other.value == finding.value]


def at(layer: str, **fields: Any) -> zp.Recipe:
    """A recipe that gives one layer's activations such a specification."""
    override = zp.Recipe(activations=zp.TensorSpec(**fields))
    return zp.Recipe(overrides={layer: override})


def with_outlier(x: Tensor, size: float, count: int = 1) -> Tensor:
    """The images with a few pixels of that size."""
    x = x.clone()
    x.view(-1)[torch.linspace(0, x.numel() - 1, count).long()] = size
    return x


def pixels(count: int = 16, channels: int = 1) -> Tensor:
    """Images of 8 bits, from 0 to 1: all 256 levels are there."""
    x = images(count, channels, seed=3).mul(40).add(128).round().clamp(0, 255)
    x.view(-1)[:256] = torch.arange(256)
    return x / 255
