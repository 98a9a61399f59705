"""What a module in training is put together from: places for weights, and fake quantizers.

Weights that are folded before training become parameters: in the place of the user's weight, with a
bias beside it, or in the child `folded` where there is no such place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from zeropoint.arithmetic.granularity import PerTensor
from zeropoint.arithmetic.qparams import QParams
from zeropoint.assign import Assignment
from zeropoint.calibrate import weight_grid
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import Grid, IntegerOp, Role
from zeropoint.ops.dropout import Dropout
from zeropoint.pipeline import Calibrated
from zeropoint.target import Target
from zeropoint.train.batch_norm import Folded, Live, Way
from zeropoint.train.layers import Layer, constants_of, layers_of, weighted
from zeropoint.train.method import Method, Start
from zeropoint.train.step import Setting, quantizer_key
from zeropoint.train.tensors import names_of, put, tensor_at

QUANTIZERS, FOLDED = "fake_quantizers", "folded"
"""The children beside the user's own: the grids, and folded weights that have no other place."""


@dataclass(frozen=True)
class Training:
    """How grids follow the data, the way through batch norm, and the engine of `convert`."""

    weights: Method
    activations: Method
    batch_norm: Way
    engine: str


@dataclass(frozen=True)
class Weights:
    """The layers by their nodes' outputs, and which tensor stands for which folded constant."""

    layers: Mapping[str, Layer]
    folded: Mapping[str, str]


def place_weights(
    root: nn.Module, captured: Graph, simplified: Callable[[Graph], Graph], way: Way
) -> Weights:
    """The layers of the training graph; what is folded already becomes a parameter of `root`."""
    graph, found = simplified(captured), layers_of(captured, simplified, root)
    layers: dict[str, Layer] = {}
    folded: dict[str, str] = {}
    taken: set[str] = set()
    for node in weighted(graph):
        layer, constants = found.get(node.output), constants_of(node)
        if layer is not None and (layer.norm is None or not isinstance(way, Folded)):
            layers[node.output] = layer
            continue
        places = _places(root, layer, constants, taken)
        for role, place in places.items():
            put(root, place, graph.constants[constants[role]])
            folded[constants[role]] = place
        taken.add(places[Role.WEIGHT])
        layers[node.output] = Layer(places[Role.WEIGHT], places[Role.BIAS], norm=None)
    if isinstance(way, Folded):
        for path in {layer.norm for layer in found.values() if layer.norm is not None}:
            parent, _, name = path.rpartition(".")
            setattr(root.get_submodule(parent), name, nn.Identity())
    return Weights(layers, folded)


def _places(
    root: nn.Module, layer: Layer | None, constants: Mapping[Role, str], taken: set[str]
) -> dict[Role, str]:
    own = None if layer is None else layer.weight
    if own is not None and own not in taken and own.endswith(".weight"):
        return {Role.WEIGHT: own, Role.BIAS: own.removesuffix("weight") + "bias"}
    if FOLDED not in dict(root.named_children()):
        root.add_module(FOLDED, nn.Module())
    return {role: f"{FOLDED}.{quantizer_key(name)}" for role, name in constants.items()}


def place_quantizers(
    root: nn.Module, graph: Graph, weights: Weights, made: Calibrated, training: Training
) -> Setting:
    """The setting of all steps; its fake quantizers become children of `root`."""
    children = nn.ModuleDict()
    root.add_module(QUANTIZERS, children)
    assignment = made.assignment
    for name, start in starts_of_activations(made).items():
        children[quantizer_key(name)] = training.activations.quantizer(start)
    grids = {name: _child(name) for name in assignment.own}
    grids |= _tied(graph, assignment)
    fences = {name for name in assignment.own if name not in assignment.integer}
    integer = set(assignment.integer)
    for node in graph.nodes:
        if not isinstance(node.op, Dropout) or node.inputs[0] not in fences:
            continue
        if {user.output for user in graph.users[node.output]} <= integer:
            integer.add(node.output)  # drops what is on the grid: what it scales up is not clipped
        else:
            fences.add(node.output)
            grids[node.output] = grids[node.inputs[0]]
    first = _folding_first(graph, weights, assignment, training.batch_norm)
    of_weights = {}
    for output, start in starts_of_weights(root, weights, made, first).items():
        name = weight_name(graph, output)
        if quantizer_key(name) not in children:  # a weight that is read twice has one grid
            children[quantizer_key(name)] = training.weights.quantizer(start)
        of_weights[output] = _child(name)
    own = {name: name for name in graph.constants if name in names_of(root)}
    return Setting(
        graph=graph,
        integer=frozenset(integer),
        grids=grids,
        fences=frozenset(fences),
        weights=of_weights,
        layers=weights.layers,
        constants={**own, **weights.folded},
        folds_first=first,
    )


def _child(name: str) -> str:
    return f"{QUANTIZERS}.{quantizer_key(name)}"


def _tied(graph: Graph, assignment: Assignment) -> dict[str, str]:
    """Values that are written straight onto a concatenation's grid."""
    tied = {}
    for name in assignment.shared:
        writer = graph.producers.get(name)
        if writer and isinstance(writer.op, IntegerOp) and writer.op.grid is Grid.OWN:
            owner = name
            while owner in assignment.shared:
                owner = assignment.shared[owner]
            tied[name] = _child(owner)
    return tied


def _folding_first(
    graph: Graph, weights: Weights, assignment: Assignment, way: Way
) -> frozenset[str]:
    """The layers whose weights meet their batch norm's factor before they are quantized."""
    folding = set()
    for output, layer in weights.layers.items():
        spec = assignment.weights.get(weight_name(graph, output))
        if spec is not None and layer.norm is not None:
            one_scale = isinstance(way, Live) and spec.granularity == PerTensor()
            if one_scale or not spec.symmetric:
                folding.add(output)
    return frozenset(folding)


def starts_of_activations(made: Calibrated) -> dict[str, Start]:
    """Where the grids of the activations begin, by value."""
    return {
        name: Start(
            made.plan.entries[name].params,
            spec.symmetric,
            _mean_magnitude(made, name),
            one_sided=made.observations[name].low >= 0 or made.observations[name].high <= 0,
        )
        for name, spec in made.assignment.own.items()
    }


def starts_of_weights(
    root: nn.Module, weights: Weights, made: Calibrated, folds_first: frozenset[str]
) -> dict[str, Start]:
    """Where the grids of the weights begin, by their nodes' outputs."""
    graph, starts = made.graph, {}
    for output, layer in weights.layers.items():
        if output not in made.assignment.integer or layer.weight is None:
            continue
        name = weight_name(graph, output)
        spec = made.assignment.weights[name]
        before = layer.norm is not None and output not in folds_first
        weight = on_cpu(tensor_at(root, layer.weight) if before else graph.constants[name])
        params = weight_grid(weight, spec)
        rows = weight.reshape(1 if params.axis is None else weight.shape[0], -1)
        params = _as_the_others(params, rows.any(1))
        magnitude = rows.abs().mean(1).reshape(params.scale.shape)
        starts[output] = Start(params, spec.symmetric, magnitude, is_weight=True)
    return starts


def _as_the_others(params: QParams, is_alive: Tensor) -> QParams:
    """The grid with a scale for channels of zeros, which may not stay so: the mean of the others.

    At the scale 1 of an empty range they could not come back, and their biases would be coarse.
    """
    if params.axis is None or not is_alive.any():
        return params
    scale = torch.where(is_alive, params.scale, params.scale[is_alive].mean())
    return replace(params, scale=scale)


def with_room(assignment: Assignment, target: Target) -> Assignment:
    """Weights of 7 bits where the target adds two products in 16: nothing to repair afterwards."""
    if not target.saturating_pairs:
        return assignment
    specs = assignment.weights.items()
    narrow = {name: replace(spec, bits=min(spec.bits, 7)) for name, spec in specs}
    return replace(assignment, weights=narrow)


def weight_name(graph: Graph, output: str) -> str:
    """The constant that is the weight of a layer."""
    return constants_of(graph.producers[output])[Role.WEIGHT]


def _mean_magnitude(made: Calibrated, name: str) -> Tensor:
    """The mean |x| of what was observed, to the histogram's precision; or of a constant."""
    if name in made.graph.constants:
        return made.graph.constants[name].detach().abs().mean()
    histogram = made.observations[name].histogram
    total = histogram.centres().abs() @ histogram.counts.to(torch.float64)
    return (total / max(histogram.total, 1)).to(torch.float32)


def on_cpu(tensor: Tensor) -> Tensor:
    """The tensor without gradients, as capture has it: float32 if it is real."""
    tensor = tensor.detach().to("cpu")
    return tensor.to(torch.float32) if tensor.is_floating_point() else tensor
