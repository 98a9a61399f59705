"""Which channels must be scaled alike, and which not at all.

A factor of a channel begins in the rows of a layer and ends in the columns of those that read it.
In between it passes through what computes each channel by itself and in proportion, f(k x) =
k f(x) for k > 0: a ReLU, a pooling, a resize. What adds two channels makes them kin: they have one
factor. What moves channels takes their factors along. Everything else reads and writes channels as
they are, and so do the network's own inputs and outputs.

Sizes are known when a graph runs, so that is how channels are followed: once, on one sample.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.granularity import PerChannel
from zeropoint.batches import Inputs
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.walk import walk
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Convolution
from zeropoint.ops.functions import is_proportional
from zeropoint.ops.linear import Linear
from zeropoint.ops.movement import Movement
from zeropoint.ops.mul import Mul
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    GlobalAveragePool,
    MaxPool,
)
from zeropoint.ops.quantize import Requantize
from zeropoint.ops.reduce import Amax, Mean, Sum
from zeropoint.ops.shape import SizeOf
from zeropoint.ops.table import Table
from zeropoint.ops.upsample import Interpolate
from zeropoint.recipe import Recipe

FIXED = 0
"""The family of the channels that are not scaled."""

BY_CHANNEL = (
    Clamp,
    MaxPool,
    AdaptiveMaxPool,
    AveragePool,
    AdaptiveAveragePool,
    GlobalAveragePool,
    Interpolate,
    Requantize,
)
"""What computes each channel by itself and in proportion, if its bounds are open."""

OVER_AXES = (Mean, Sum, Amax)
"""The same, unless channels are among the axes that go."""


def families(graph: Graph, one: Inputs, recipe: Recipe) -> Mapping[str, Tensor]:
    """The family (C,) of each channel, by the names of values; kin are of one, others of another.

    Channels are axis 1. `one` is a sample for each input.
    """
    followed = _Following(graph, recipe)
    with torch.inference_mode():
        walk(graph, one, kernel=followed.compute)
    return followed.families()


class _Following:
    """Channels are numbered where layers write them; `kin` are pairs of numbers."""

    def __init__(self, graph: Graph, recipe: Recipe) -> None:
        self._graph, self._recipe = graph, recipe
        self._count = 1
        self._channels: dict[str, Tensor] = {}
        self._kin = [(torch.tensor([FIXED]), torch.tensor([FIXED]))]

    def compute(self, node: Node, operands: Sequence[Any]) -> Any:
        """The node's results; where its channels come from is noted."""
        results = node.op.run(*operands)
        for name, x in zip(node.inputs, operands, strict=True):
            self._channels.setdefault(name, fixed(x))
        if isinstance(node.op, SizeOf):
            return results
        found = self._followed(node, operands, results) if isinstance(results, Tensor) else None
        if found is None:
            for name in node.inputs:
                self._fix(name)
            written = results if isinstance(results, tuple) else (results,)
            self._channels |= dict(zip(node.outputs, map(fixed, written), strict=True))
        else:
            self._channels[node.output] = found
        return results

    def families(self) -> Mapping[str, Tensor]:
        """The least number among the kin of each channel."""
        for name in self._graph.outputs:
            self._fix(name)
        least = torch.arange(self._count)
        a, b = (torch.cat(ends) for ends in zip(*self._kin, strict=True))
        while True:
            lower = torch.minimum(least[a], least[b])
            new = least.scatter_reduce(0, a, lower, "amin").scatter_reduce(0, b, lower, "amin")
            new = new[new]
            if torch.equal(new, least):
                break
            least = new
        return {
            name: least[channels]
            for name, channels in self._channels.items()
            if name not in self._graph.constants
        }

    def _followed(self, node: Node, operands: Sequence[Any], y: Tensor) -> Tensor | None:
        """The channels of a node's result; None where no factor passes."""
        op, known = node.op, [self._channels[name] for name in node.inputs]
        if isinstance(op, Convolution | Linear):
            return self._written(node, op, operands, y)
        if isinstance(op, Table):
            return known[0] if is_proportional(op.steps) else None
        if isinstance(op, Clamp | Add | Mul) and not is_open(op.low, op.high):
            return None
        if isinstance(op, BY_CHANNEL):
            return known[0]
        if isinstance(op, OVER_AXES):
            return known[0] if {0, 1}.isdisjoint(a % operands[0].ndim for a in op.axes) else None
        if isinstance(op, Concat) and op.axis == 1:
            return torch.cat(known)
        if isinstance(op, Add):
            return self._sum(node, operands, y)
        if isinstance(op, Mul):
            return self._product(node, operands, y)
        if isinstance(op, Movement) or (isinstance(op, Pad) and op.value == 0):
            return self._moved(node, operands)
        return None

    def _written(
        self, node: Node, op: Convolution | Linear, operands: Sequence[Any], y: Tensor
    ) -> Tensor | None:
        if not self._may_scale(node) or (isinstance(op, Linear) and y.ndim != 2):
            return None
        if not is_open(op.low, op.high) or not is_proportional(op.function):
            for name in node.inputs[3:]:
                self._fix(name)
            return fixed(y)
        channels = self._new(y.shape[1])
        for name, addend in zip(node.inputs[3:], operands[3:], strict=True):
            if addend.shape[1] != y.shape[1]:
                return None
            self._join(self._channels[name], channels)
        return channels

    def _may_scale(self, node: Node) -> bool:
        """True if the rows and columns of a layer's weight can take factors up."""
        asked = self._recipe.for_layer(node.origin)
        alone = all(
            name in self._graph.constants and len(self._graph.users[name]) == 1
            for name in node.inputs[1:3]
        )
        if asked is None or not asked.equalize or not alone:
            return False
        by_row = isinstance(asked.weights.granularity, PerChannel)
        return by_row and asked.weights.bits >= asked.activations.bits

    def _sum(self, node: Node, operands: Sequence[Any], y: Tensor) -> Tensor | None:
        if any(name in self._graph.constants for name in node.inputs):
            return None
        if any(x.ndim != y.ndim or x.shape[1] != y.shape[1] for x in operands):
            return None
        a, b = (self._channels[name] for name in node.inputs)
        self._join(a, b)
        return a

    def _product(self, node: Node, operands: Sequence[Any], y: Tensor) -> Tensor | None:
        """Of an image and a gate the factors of the image pass."""
        images = [name for name, x in zip(node.inputs, operands, strict=True) if x.shape == y.shape]
        if len(images) != 1:
            return None
        for name in {*node.inputs} - {*images}:
            self._fix(name)
        return self._channels[images[0]]

    def _moved(self, node: Node, operands: Sequence[Any]) -> Tensor | None:
        """What numbers in the place of the channels become; those that end in one are kin."""
        x, *sizes = operands
        channels = self._channels[node.inputs[0]]
        if x.ndim < 2 or not len(channels):
            return None
        # Zero is what is padded with, so the channels' places are counted from 1.
        places = torch.arange(1.0, len(channels) + 1).reshape(1, -1, *[1] * (x.ndim - 2))
        moved = node.op.run(places.expand(x.shape), *sizes)
        if moved.ndim < 2:
            return None
        rows = moved.transpose(0, 1).flatten(1).long()
        if not rows.numel():
            return None
        first = rows.amax(1)
        other = (rows != first[:, None]) & (rows > 0)
        at = torch.cat([channels.new_zeros(1), channels])
        result = torch.where(first > 0, at[first], self._new(len(first)))
        for row in other.any(1).nonzero().flatten().tolist():
            met = rows[row].unique()
            self._join(at[met[met > 0]], result[row])
        return result

    def _new(self, count: int) -> Tensor:
        self._count += count
        return torch.arange(self._count - count, self._count)

    def _fix(self, name: str) -> None:
        channels = self._channels.get(name)
        if channels is not None:
            self._join(channels, torch.tensor(FIXED))

    def _join(self, a: Tensor, b: Tensor) -> None:
        self._kin.append((a, b.expand(a.shape)))


def fixed(x: Any) -> Tensor:
    """The channels of what is not scaled."""
    has_channels = isinstance(x, Tensor) and x.ndim >= 2 and x.is_floating_point()
    return torch.full((x.shape[1] if has_channels else 0,), FIXED)


def is_open(low: float | None, high: float | None) -> bool:
    """True if zero lies within the bounds, so that the sign of no number changes there."""
    return (low is None or low <= 0) and (high is None or high >= 0)
