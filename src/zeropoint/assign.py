"""Which nodes run in integers, and where each grid comes from: decided before data are seen.

    convolution, linear      integer, unless the recipe keeps the layer float
    add, pool, concat, ...   integer where at least one operand already is; not alone in an island
    flatten, max pool, ...   the same, on the grid of their operand
    whatever else            float

At the borders between the two, operators without weights go with what they read or with what reads
them (borders.py).

Every node that stays float gets a reason in words.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from zeropoint.borders import accumulates, activations, leaving, operands, returning
from zeropoint.errors import RecipeError
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import Grid, IntegerOp, Role
from zeropoint.graph.value import Plain
from zeropoint.ops.concat import Concat
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.shape import SizeArithmetic, SizeOf
from zeropoint.ops.title import title
from zeropoint.passes.narrow_residuals import residuals
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.target import Target


@dataclass(frozen=True)
class Assignment:
    """The decisions about one graph.

    `integer` holds the outputs of the nodes that run in integers; `own` the values to observe,
    with their specifications; `shared` maps a value to the one whose grid it takes; `accumulators`
    are the int32 results that are not narrowed, `leaving` the results of the float nodes that
    follow them out; `reasons` says why each other node stays float.
    """

    integer: frozenset[str]
    own: Mapping[str, TensorSpec]
    shared: Mapping[str, str]
    accumulators: frozenset[str]
    weights: Mapping[str, TensorSpec]
    leaving: frozenset[str]
    reasons: Mapping[str, str]


FLOAT_OPERANDS = "its operands are float, and it has no weights to win by"


def assign(graph: Graph, recipe: Recipe, target: Target) -> Assignment:
    """The decisions for a float graph.

    RecipeError if nothing is left to quantize, or the target cannot run what a layer asks for.
    """
    reasons = _float_nodes(graph, recipe)
    able = [n for n in graph.nodes if n.output not in reasons and isinstance(n.op, IntegerOp)]
    left = leaving(graph, able)
    able = [node for node in able if node.output not in left]
    idle = [node for node in graph.nodes if reasons.get(node.output) == FLOAT_OPERANDS]
    back = returning(graph, able, idle)
    reasons = {name: reason for name, reason in reasons.items() if name not in back}
    inside = {node.output for node in able} | back
    integer = [node for node in graph.nodes if node.output in inside]
    if not any(_has_weight(node) for node in integer):
        raise RecipeError(_nothing(graph, reasons))
    written = {node.output for node in integer}
    accumulators = frozenset(n.output for n in integer if _stays_wide(graph, n, written))
    shared = _shared(graph, recipe, integer)
    own = _owners(graph, recipe, integer, accumulators, shared)
    weights = {
        name: _recipe_of(recipe, node).weights
        for node in integer
        for name, role in operands(node)
        if role is Role.WEIGHT
    }
    _check(graph, integer, own, weights, target)
    return Assignment(frozenset(written), own, shared, accumulators, weights, left, reasons)


def _has_weight(node: Node) -> bool:
    return any(role is Role.WEIGHT for _, role in operands(node))


def _recipe_of(recipe: Recipe, node: Node) -> Recipe:
    found = recipe.for_layer(node.origin)
    assert found is not None  # _float_nodes keeps the layers without a recipe out
    return found


def _float_nodes(graph: Graph, recipe: Recipe) -> dict[str, str]:
    """The reason for each node that stays float, by its output; sizes need none."""
    reasons: dict[str, str] = {}
    written: set[str] = set()
    for node in graph.nodes:
        if isinstance(node.op, (SizeOf, SizeArithmetic)):
            continue
        reason = _why_float(graph, node, recipe, written)
        if reason is None:
            written.add(node.output)
        else:
            reasons[node.output] = reason
    return reasons


def _why_float(graph: Graph, node: Node, recipe: Recipe, written: set[str]) -> str | None:
    op = node.op
    if isinstance(op, Opaque):
        return op.reason
    if not isinstance(op, IntegerOp):
        return "zeropoint has no integer form for it here"
    if recipe.for_layer(node.origin) is None:
        return "kept float by the recipe"
    for name, role in operands(node):
        if role is Role.ACTIVATION and graph.values[name].type != Plain(torch.float32):
            return f"its operand {name!r} is not float32"
        if role in (Role.WEIGHT, Role.BIAS) and name not in graph.constants:
            return f"its {role.value} is computed at run time"
    if not _has_weight(node) and written.isdisjoint(activations(node)):
        return FLOAT_OPERANDS
    return None


def _stays_wide(graph: Graph, node: Node, integer: set[str]) -> bool:
    """True if only float nodes or the outside read what a convolution or linear computes."""
    return accumulates(node) and not any(
        user.output in integer for user in graph.users[node.output]
    )


def _shared(graph: Graph, recipe: Recipe, integer: list[Node]) -> dict[str, str]:
    """Values that take another's grid: what is only moved, and what is tied to a concatenation."""
    shared: dict[str, str] = {}
    specs = {
        node.output: _recipe_of(recipe, node).activations
        for node in integer
        if isinstance(node.op, IntegerOp) and node.op.grid is Grid.OWN
    }
    for node in integer:
        if node.output not in specs:
            shared[node.output] = node.inputs[0]
    for node in integer:
        if not isinstance(node.op, Concat):
            continue
        owners = {owner(name, shared) for name in node.inputs}
        if len(owners) == 1:  # parts of one value, or a value and what has been moved of it
            (shared[node.output],) = owners
            continue
        for name in node.inputs:
            first = owner(name, shared)
            # Written straight onto the grid of the result, it is rounded once instead of twice.
            if _only_for(graph, first, name, node) and _alike(graph, first, node, specs):
                shared[first] = node.output
    return shared


def owner(name: str, shared: Mapping[str, str]) -> str:
    """The value whose grid a value is on."""
    while name in shared:
        name = shared[name]
    return name


def _only_for(graph: Graph, first: str, last: str, reader: Node) -> bool:
    """True if `first` is read by nothing but what moves it to `last`, and that by one reader."""
    user = graph.only_user(first)
    while user is not None and first != last:
        first = user.output
        user = graph.only_user(first)
    return user is reader


def _alike(graph: Graph, name: str, node: Node, specs: Mapping[str, TensorSpec]) -> bool:
    """True for a value with the specification of the node's result, or quantized for it alone."""
    if name in graph.inputs:
        return False
    return name not in specs or specs[name] == specs[node.output]


def _owners(
    graph: Graph,
    recipe: Recipe,
    integer: list[Node],
    accumulators: frozenset[str],
    shared: Mapping[str, str],
) -> dict[str, TensorSpec]:
    """Every value that a calibrator gives a grid: read by an integer node, or written by one."""
    own: dict[str, TensorSpec] = {}
    wide = residuals(graph)
    for node in integer:
        for name in (*activations(node), node.output):
            if name not in shared and name not in accumulators:
                writer = graph.producers.get(name)
                # An input is nobody's result: an override may name it instead of a layer.
                chosen = recipe.for_layer(writer.origin) if writer else recipe.overrides.get(name)
                asked = chosen or _recipe_of(recipe, node)
                spec = asked.residuals if name in wide and recipe.residuals else None
                own.setdefault(name, spec or asked.activations)
    return own


def _check(
    graph: Graph,
    integer: list[Node],
    own: Mapping[str, TensorSpec],
    weights: Mapping[str, TensorSpec],
    target: Target,
) -> None:
    for node in integer:
        for name, role in operands(node):
            if role is Role.WEIGHT:
                _refuse(_layer(node), target.refusal_of_weights(weights[name]), target)
        if node.output in own:
            _refuse(_layer(node), target.refusal_of_activations(own[node.output]), target)
    for name in own.keys() & set(graph.inputs):
        _refuse(name, target.refusal_of_activations(own[name]), target)


def _layer(node: Node) -> str:
    return node.origin.layer or node.output


def _refuse(name: str, refusal: str | None, target: Target) -> None:
    if refusal is not None:
        raise RecipeError(
            f"{name} asks for {refusal}, which the "
            f"{target.name} engine "
            'cannot run; use engine="reference", or change the recipe for that layer'
        )


def _nothing(graph: Graph, reasons: Mapping[str, str]) -> str:
    kinds = sorted({_describe(node) for node in graph.nodes})
    because = next(iter(reasons.values()), "it has no convolution or linear layer")
    return (
        f"nothing to quantize: no convolution or linear layer of the model can run in integers "
        f"({because}); its operators are {', '.join(kinds)}"
    )


def _describe(node: Node) -> str:
    return title(node.op)
