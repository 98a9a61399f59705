"""Where the weights of a simplified graph come from: the user's parameters and batch norms.

    w' = w gamma / sqrt(var + eps)      b' = (b - mean) gamma / sqrt(var + eps) + beta

Passes compute new constants from the model's. Which ones from which is not written down anywhere:
passes are torch code, so autograd knows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.train.tensors import names_of


@dataclass(frozen=True)
class Layer:
    """A node with weights: the names of its constants, and what they are made of.

    `weight` and `bias` are the user's tensors (no weight: a batch norm alone); `norm` is the path
    of the batch norm that follows them.
    """

    weight: str | None
    bias: str | None
    norm: str | None


def layers_of(
    captured: Graph, simplify: Callable[[Graph], Graph], model: nn.Module
) -> dict[str, Layer]:
    """The layers of the simplified graph by their nodes' outputs.

    Those are left out whose constants come from anything else, such as two batch norms in a row.
    """
    traced, names = _traced(captured)
    graph = simplify(traced)
    norms = {n.inputs[4]: n for n in captured.nodes if isinstance(n.op, BatchNorm)}
    known, found = names_of(model), {}
    # Where a layer has no bias, capture has added one of zeros.
    zeros = {n for n, t in captured.constants.items() if n not in known and not t.any()}
    for node in weighted(graph):
        constants = constants_of(node)
        weights, biases = (
            _sources(graph.constants[constants[role]], names) - zeros
            for role in (Role.WEIGHT, Role.BIAS)
        )
        is_folded = not graph.constants[constants[Role.WEIGHT]].is_leaf
        layer = _normed(weights, biases, norms, model) if is_folded else _plain(weights, biases)
        if layer is not None and {layer.weight, layer.bias} <= {None, *known}:
            found[node.output] = layer
    return found


def weighted(graph: Graph) -> list[Node]:
    """The nodes with a weight and a bias that are constants."""
    integer = ((n, constants_of(n)) for n in graph.nodes if isinstance(n.op, IntegerOp))
    return [n for n, names in integer if names and graph.constants.keys() >= {*names.values()}]


def constants_of(node: Node) -> dict[Role, str]:
    """The names of a node's weight and bias."""
    assert isinstance(node.op, IntegerOp)  # callers pass integer operators
    roles = zip(node.op.roles(len(node.inputs)), node.inputs, strict=True)
    return {role: name for role, name in roles if role in (Role.WEIGHT, Role.BIAS)}


def _traced(graph: Graph) -> tuple[Graph, dict[int, str]]:
    """The graph with constants that autograd follows, and their names."""
    leaves = {
        name: tensor.detach().clone().requires_grad_()
        for name, tensor in graph.constants.items()
        if tensor.is_floating_point()
    }
    constants = {**graph.constants, **leaves}
    return replace(graph, constants=constants), {id(leaf): name for name, leaf in leaves.items()}


def _plain(weights: set[str], biases: set[str]) -> Layer | None:
    """The layer of one weight and at most one bias."""
    if len(weights) != 1 or len(biases) > 1:
        return None
    return Layer(weights.pop(), biases.pop() if biases else None, norm=None)


def _normed(
    weights: set[str], biases: set[str], norms: Mapping[str, Node], model: nn.Module
) -> Layer | None:
    """The same with one batch norm, or that batch norm alone."""
    found = [norms[name] for name in weights if name in norms]
    if len(found) != 1:
        return None
    weights, biases = (names - set(found[0].inputs) for names in (weights, biases))
    path = found[0].inputs[4].removesuffix(".running_var")
    if max(len(weights), len(biases)) > 1 or not _is_batch_norm(model, path):
        return None
    weight, bias = (names.pop() if names else None for names in (weights, biases))
    return Layer(weight, bias, path)


def _is_batch_norm(model: nn.Module, path: str) -> bool:
    try:
        return isinstance(model.get_submodule(path), nn.modules.batchnorm._BatchNorm)
    except AttributeError:
        return False


def _sources(tensor: Tensor, names: Mapping[int, str]) -> set[str]:
    """The names of the leaves that the tensor was computed from."""
    return {names[id(leaf)] for leaf in leaves_of(tensor) if id(leaf) in names}


def leaves_of(tensor: Tensor) -> set[Any]:
    """What gets gradients where the tensor does: tensors by identity, parameters mostly."""
    if tensor.is_leaf:
        return {tensor} if tensor.requires_grad else set()
    found = set()
    pending, visited = [tensor.grad_fn], set()
    while pending:
        function = pending.pop()
        if function is None or function in visited:
            continue
        visited.add(function)
        leaf = getattr(function, "variable", None)
        if isinstance(leaf, torch.Tensor):
            found.add(leaf)
        pending.extend(following for following, _ in function.next_functions)
    return found
