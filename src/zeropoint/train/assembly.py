"""What a module in training is put together from: places for weights, and fake quantizers.

Weights that are folded before training become parameters in the place of the user's weight, with a
bias beside it. Those that are computed of several of the user's tensors, or read by several layers,
are not: they are computed in each step, by the running statistics.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from zeropoint.arithmetic.granularity import PerTensor
from zeropoint.arithmetic.qparams import QParams
from zeropoint.assign import Assignment
from zeropoint.calibrate import weight_grid
from zeropoint.capture.tape import Computation, Tape, fixed
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import Grid, IntegerOp, Role
from zeropoint.ops.dropout import Dropout
from zeropoint.pipeline import Calibrated
from zeropoint.target import Target
from zeropoint.train.batch_norm import Folded, Live, Way
from zeropoint.train.layers import Layer, constants_of, layers_of, weighted
from zeropoint.train.method import Method, Start
from zeropoint.train.step import Setting, quantizer_key
from zeropoint.train.tensors import (
    COMPUTATIONS,
    follow,
    is_computed,
    names_of,
    put,
    tensor_at,
)

QUANTIZERS = "fake_quantizers"
"""The child beside the user's own: the grids."""


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
    root: nn.Module, captured: Graph, simplified: Callable[[Graph], Graph], way: Way, tape: Tape
) -> Weights:
    """The layers of the training graph; what is folded already becomes a parameter of `root`.

    Any other constant that is made of the user's tensors is computed from them in each step.
    """
    with torch.no_grad(), tape:
        graph = simplified(captured)
    computations = _computations(root, captured, graph, tape)
    follow(root, computations)
    found = layers_of(captured, simplified, root)
    readers = _readers(graph, computations)
    layers: dict[str, Layer] = {}
    folded: dict[str, str] = {}
    for node in weighted(graph):
        layer, constants = found.get(node.output), constants_of(node)
        weight, bias = constants[Role.WEIGHT], constants[Role.BIAS]
        if layer is not None and (layer.norm is None or not isinstance(way, Folded)):
            layers[node.output] = layer
        elif layer is not None and _may_be_replaced(root, layer, weight, bias, readers):
            layers[node.output] = _folded(root, graph, layer, weight, bias, computations)
            folded |= dict(zip((weight, bias), _own(layers[node.output]), strict=True))
        else:
            layers[node.output] = Layer(weight, bias, norm=None)
    known = names_of(root) | folded.keys()
    of_layers = {n for layer in layers.values() for n in (layer.weight, layer.bias) if n}
    rest = {n: fixed(t) for n, t in graph.constants.items() if n in of_layers - known}
    follow(root, computations | rest)
    return Weights(layers, folded)


def _computations(
    root: nn.Module, captured: Graph, graph: Graph, tape: Tape
) -> dict[str, Computation]:
    """How the constants of both graphs come of the user's real tensors, where they are others."""
    own, found = names_of(root), {}
    for name, tensor in {**graph.constants, **captured.constants}.items():
        computation = tape.computation(tensor) if tensor.is_floating_point() else None
        if computation is None or not computation.names <= own:
            continue
        if not (computation.is_the_tensor_itself and name in own):
            found[name] = computation
    return found


def _readers(graph: Graph, computations: Mapping[str, Computation]) -> Counter[str]:
    """How many nodes read each of the user's tensors."""
    readers: Counter[str] = Counter()
    for node in graph.nodes:
        names = [name for name in node.inputs if name in graph.constants]
        made = (computations[name].names if name in computations else {name} for name in names)
        readers.update(set().union(*made))
    return readers


def _may_be_replaced(
    root: nn.Module, layer: Layer, weight: str, bias: str, readers: Mapping[str, int]
) -> bool:
    """True if nothing but this layer is made of the user's weight and of its batch norm."""
    own = layer.weight
    if own is None or not own.endswith(".weight") or is_computed(root, own):
        return False
    made = root.__dict__[COMPUTATIONS]
    sources = {n for name in (weight, bias) if name in made for n in made[name].names}
    return all(readers[name] == 1 for name in sources)


def _folded(
    root: nn.Module,
    graph: Graph,
    layer: Layer,
    weight: str,
    bias: str,
    computations: Mapping[str, Computation],
) -> Layer:
    """The layer with its batch norm folded, in the place of the user's; frozen as the user's."""
    assert layer.weight is not None  # _may_be_replaced says so
    assert layer.norm is not None  # without one there is nothing to fold
    places = layer.weight, layer.weight.removesuffix("weight") + "bias"
    own = dict(root.named_parameters(remove_duplicate=False))
    from_weight = own[layer.weight].requires_grad
    from_others = any(
        own[name].requires_grad for name in computations[bias].names & own.keys() - {layer.weight}
    )
    put(root, places[0], graph.constants[weight], is_trained=from_weight)
    put(root, places[1], graph.constants[bias], is_trained=from_others)
    parent, _, name = layer.norm.rpartition(".")
    setattr(root.get_submodule(parent), name, nn.Identity())
    return Layer(*places, norm=None)


def _own(layer: Layer) -> tuple[str, str]:
    assert layer.weight is not None  # _folded makes both
    assert layer.bias is not None
    return layer.weight, layer.bias


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
