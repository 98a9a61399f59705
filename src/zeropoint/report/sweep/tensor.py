"""What a sweep rounds: which tensor of a layer, in which way, and where in the graph it is."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from zeropoint.errors import RecipeError
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Role


class Rounding(StrEnum):
    """How r / s becomes an integer: to the nearest (half to even), down, or towards zero."""

    NEAREST = "nearest"
    FLOOR = "floor"
    TRUNC = "trunc"

    def of(self, x: Tensor) -> Tensor:
        """The integers, as real numbers."""
        match self:
            case Rounding.NEAREST:
                return torch.round(x)
            case Rounding.FLOOR:
                return torch.floor(x)
            case Rounding.TRUNC:
                return torch.trunc(x)

    def __repr__(self) -> str:
        return f"Rounding.{self.name}"


@dataclass(frozen=True)
class Weights:
    """The layer's weights, with batch norm folded in.

    With a `step` the integers are made once, q = round(w / step), and the swept scale is only what
    they are read with, r = s q: a network whose weights stay integers and whose output is divided
    by a norm factor n = 1 / s. With `bias` the layer's bias is rounded in the same way.
    """

    step: float | None = None
    bias: bool = False


@dataclass(frozen=True)
class Activations:
    """The layer's output, with the activation function and the addition that are fused into it."""


Tensors = Weights | Activations


@dataclass(frozen=True)
class Site:
    """The layer in the graph, or one output channel of it.

    `constants` are its weights, and its biases if they are swept; where there are none, its outputs
    are. `results` are the outputs of its calls, with their channels along `axis`. Nodes before
    `start` do not see the swept tensor.
    """

    layer: str
    constants: tuple[str, ...]
    results: tuple[str, ...]
    axis: int
    start: int
    channel: int | None

    def part(self, result: Tensor) -> Tensor:
        """A result, or the swept channel of it."""
        return result if self.channel is None else result.select(self.axis, self.channel)


def find_site(graph: Graph, layer: str, of: Tensors, channel: int | None, captured: Graph) -> Site:
    """Where the layer is; RecipeError with the nearest name, or with what it lacks."""
    site = _whole_site(graph, layer, of, captured)
    if channel is None:
        return site
    count = graph.values[site.results[0]].shape[site.axis]
    if isinstance(count, int) and not 0 <= channel < count:
        raise RecipeError(
            f"channel={channel} is none of layer {layer!r}, which has {count} output channels: "
            f"use 0 to {count - 1}"
        )
    return replace(site, channel=channel)


def _whole_site(graph: Graph, layer: str, of: Tensors, captured: Graph) -> Site:
    own = [node for node in graph.nodes if node.origin.layer == layer]
    if not own:
        raise RecipeError(_not_there(layer, graph, captured))
    calls = [node for node in own if _constants(graph, node, Role.WEIGHT)]
    places = {node.output: index for index, node in enumerate(graph.nodes)}
    if isinstance(of, Activations):
        calls = calls or own[-1:]
        results = tuple(node.output for node in calls)
        axis, start = _channel_axis(graph, calls[0]), places[results[0]] + 1
        return Site(layer, (), results, axis, start, None)
    if not calls:
        raise RecipeError(
            f"layer {layer!r} ({own[-1].op.name}) has no weights that zeropoint quantizes; "
            "sweep its output: of=Activations()"
        )
    roles = (Role.WEIGHT, Role.BIAS) if of.bias else (Role.WEIGHT,)
    names = tuple(dict.fromkeys(n for node in calls for n in _constants(graph, node, *roles)))
    start = min(places[user.output] for name in names for user in graph.users[name])
    results = tuple(node.output for node in calls)
    return Site(layer, names, results, _channel_axis(graph, calls[0]), start, None)


def row_of_weights(graph: Graph, site: Site) -> Tensor:
    """The layer's weights, or those of its channel, as one row (1, K)."""
    tensors = [graph.constants[name].detach() for name in site.constants]
    weights = [tensor for tensor in tensors if tensor.ndim > 1]  # a bias has one dimension
    own = weights if site.channel is None else [tensor[site.channel] for tensor in weights]
    return torch.cat([tensor.reshape(1, -1) for tensor in own], 1)


def _constants(graph: Graph, node: Node, *roles: Role) -> list[str]:
    if not isinstance(node.op, IntegerOp):
        return []
    own = node.op.roles(len(node.inputs))
    pairs = zip(node.inputs, own, strict=True)
    return [name for name, role in pairs if role in roles and name in graph.constants]


def _channel_axis(graph: Graph, node: Node) -> int:
    return len(graph.values[node.output].shape) - 1 if node.op.name == "linear" else 1


def _not_there(layer: str, graph: Graph, captured: Graph) -> str:
    if any(node.origin.layer == layer for node in captured.nodes):
        return (
            f"layer {layer!r} is folded into its neighbour (batch norm, activation, addition); "
            "name the convolution or linear layer instead"
        )
    layers = sorted({node.origin.layer for node in graph.nodes if node.origin.layer})
    return f"the model has no layer {layer!r}{_nearest(layer, layers)}"


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"; did you mean {near[0]!r}?" if near else ""
