"""Graph, batches, Recipe, Target -> Plan.

    1. assign     which values own a grid (assign.py), before any data
    2. observe    one walk over the batches, an observation a value (observe/)
    3. choose     each specification's calibrator picks the range; equation (1) gives the grid
    4. derive     weights from themselves, biases from the grids around them: equation (2)

The model is walked once, and never changed to be measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.bounds import saturating_pairs
from zeropoint.arithmetic.granularity import PerChannel
from zeropoint.arithmetic.integer import INT32, IntegerType
from zeropoint.arithmetic.qparams import SMALLEST_SCALE, QParams, quantize
from zeropoint.assign import Assignment, assign, owner
from zeropoint.batches import Inputs
from zeropoint.errors import CalibrationError
from zeropoint.graph.channels_last import as_channels_last, channels_last
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import Grid, IntegerOp, Role
from zeropoint.graph.walk import Listener, walk
from zeropoint.observe.calibrator import grid_of, grid_over
from zeropoint.observe.histogram import NotFinite
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.observation import Observation
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.quantize import Requantize
from zeropoint.ops.steps import MOST_STEPS, largest_operand
from zeropoint.plan import Accumulator, Bias, Entry, Own, Plan, Shared
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.target import Target
from zeropoint.ties import ties

FEWEST_STEPS = 16
"""Between two bounds, on a grid that was widened."""

MOST_ROUNDS = 16
"""Of widening grids: a wider one makes the operands of another larger, and weights finer."""

LARGEST_BIAS = 2.0**30
"""A bias takes at most half of int32, so that the sum of products has the other half."""


def calibrate(graph: Graph, batches: Iterable[Inputs], recipe: Recipe, target: Target) -> Plan:
    """The plan for a float graph.

    CalibrationError names the layer whose output is not finite; RecipeError what cannot be run.
    """
    assignment = assign(graph, recipe, target)
    observations = observe(graph, batches, assignment.own)
    return choose(graph, assignment, observations, target)


def observe(
    graph: Graph, batches: Iterable[Inputs], names: Iterable[str], also: Listener | None = None
) -> dict[str, Observation]:
    """What each named value holds over all batches, in one pass; constants hold what they hold.

    `also` is told of every value.
    """
    axes = channel_axes(graph)
    observations = {
        name: Observation(axes=axes.get(name, ())) for name in names if name not in graph.constants
    }
    fast = channels_last(graph)

    def listen(name: str, x: Any) -> None:
        if name in observations:
            observations[name].add(x)
        if also is not None:
            also(name, x)

    for inputs in batches:  # the user's code: not in inference mode
        with torch.inference_mode():
            try:
                walk(fast, [as_channels_last(x) for x in inputs], listener=listen)
            except NotFinite as error:
                raise CalibrationError(_first_not_finite(fast, inputs)) from error
    if all(observation.total == 0 for observation in observations.values()):
        raise CalibrationError("the loader yields no batch; calibration needs some real images")
    return observations


def channel_axes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """The values that layers with weights read, and the axes along which those find channels."""
    found: dict[str, set[int]] = {}
    for node in graph.nodes:
        axis = channels_read(node)
        if axis is not None:
            writer = graph.producers.get(node.inputs[0])
            is_copy = writer is not None and isinstance(writer.op, Requantize)
            name = writer.inputs[0] if writer and is_copy else node.inputs[0]
            found.setdefault(name, set()).add(axis)
    return {name: tuple(sorted(axes)) for name, axes in found.items()}


def channels_read(node: Node) -> int | None:
    """The axis of the channels in what a layer reads; None for what has no weights."""
    if isinstance(node.op, Convolution):
        return 1
    return -1 if isinstance(node.op, Linear) else None


def choose(
    graph: Graph,
    assignment: Assignment,
    observations: Mapping[str, Observation],
    target: Target,
    *,
    may_tie: bool = True,
) -> Plan:
    """The plan that the specifications, the statistics and the target amount to.

    Unless it `may_tie`, values share grids as the assignment says, and no others do.
    """
    chosen = {
        name: _chosen(graph, observations, name, spec) for name, spec in assignment.own.items()
    }
    if may_tie:
        grids = {name: own.params for name, own in chosen.items()}
        tied = ties(graph, assignment, observations, grids)
        assignment = replace(assignment, shared={**assignment.shared, **tied})
    own = {name: entry for name, entry in chosen.items() if name not in assignment.shared}
    return derive(graph, assignment, own, {}, target)


def _chosen(
    graph: Graph, observations: Mapping[str, Observation], name: str, spec: TensorSpec
) -> Own:
    """The grid of an activation, or of a constant that integers are computed with."""
    tensor = graph.constants.get(name)
    if tensor is None:
        return Own(_activation_grid(observations[name], spec), repr(spec.calibrator))
    return Own(_constant_grid(tensor, spec), repr(MinMax()))


def derive(
    graph: Graph,
    assignment: Assignment,
    activations: Mapping[str, Own],
    weights: Mapping[str, Own],
    target: Target,
) -> Plan:
    """The plan that follows from the grids of the activations, and of weights that have one.

    The other weights are calibrated. Any weight's scale is widened where its bias needs room.
    """
    entries: dict[str, Entry] = dict(activations)
    for name in assignment.shared:
        source = owner(name, assignment.shared)
        entries[name] = Shared(activations[source].params, source)
    for _ in range(MOST_ROUNDS):
        narrow = _weights(graph, assignment, weights, entries, target)
        if not _widen(graph, assignment, entries):
            break
    for node in graph.nodes:
        if node.output in assignment.integer:
            _derive(graph, node, assignment, entries)
    ordered = {name: entries[name] for name in graph.values if name in entries}
    return Plan(ordered, assignment.reasons, assignment.leaving, narrow=narrow)


def _weights(
    graph: Graph,
    assignment: Assignment,
    weights: Mapping[str, Own],
    entries: dict[str, Entry],
    target: Target,
) -> dict[str, int]:
    """Enter the grid of every weight; in how many channels which of them has 7 bits."""
    narrow: dict[str, int] = {}
    for name, spec in assignment.weights.items():
        readers = [node for node in graph.users[name] if node.output in assignment.integer]
        needed = [_scale_for_bias(graph, node, entries) for node in readers]
        known = weights.get(name)
        grid = known.params if known else weight_grid(graph.constants[name], spec)
        grid = _with_room_for_biases(graph.constants[name], grid, needed)
        if target.saturating_pairs:
            reads = [entries[node.inputs[0]].params.high for node in readers]
            roomy = _with_room_for_pairs(graph.constants[name], grid, max(reads))
            widened = int((roomy.scale != grid.scale).sum())
            if widened:
                narrow[name] = widened if grid.axis == 0 else len(graph.constants[name])
            grid = roomy
        entries[name] = Own(grid, known.calibrator if known else repr(spec.calibrator))
    return narrow


def _activation_grid(observation: Observation, spec: TensorSpec) -> QParams:
    type = IntegerType(spec.bits, signed=False)
    return grid_of(spec.calibrator, observation, type, spec.symmetric)


def _constant_grid(tensor: Tensor, spec: TensorSpec) -> QParams:
    """Of an operand that is the same at every run: nothing of it is clipped."""
    ends = tensor.detach().min(), tensor.detach().max()
    return grid_over(*ends, IntegerType(spec.bits, signed=False), spec.symmetric)


def _scale_for_bias(graph: Graph, node: Node, entries: Mapping[str, Entry]) -> Tensor:
    """The least s_w (O,) at which the node's bias fits int32 at s_x s_w."""
    bias = graph.constants[_by_role(node)[Role.BIAS]]
    x = entries[node.inputs[0]].params
    return bias.detach().abs().to(torch.float64) / (x.scale * LARGEST_BIAS)


def weight_grid(weight: Tensor, spec: TensorSpec) -> QParams:
    """A weight's grid over the range that its calibrator chooses."""
    per_channel = isinstance(spec.granularity, PerChannel)
    rows = weight.detach().reshape(weight.shape[0] if per_channel else 1, -1)
    type = IntegerType(spec.bits, signed=True)
    low, high = spec.calibrator.from_rows(rows, type, spec.symmetric)
    if not per_channel:
        low, high = low[0], high[0]
    return grid_over(low, high, type, spec.symmetric, axis=0 if per_channel else None)


def _with_room_for_biases(weight: Tensor, grid: QParams, needed: Sequence[Tensor]) -> QParams:
    """The grid, each scale wide enough for the biases of all nodes that read the weight."""
    least = torch.stack(list(needed)).amax(0)
    rows = weight.detach().reshape(weight.shape[0] if grid.axis == 0 else 1, -1)
    dead = ~rows.any(1)
    if grid.axis is None:
        least, dead = least.max(), dead[0]
    # A channel of zeros only has a bias to represent, so the bias alone chooses its scale.
    widened = torch.maximum(grid.scale.to(torch.float64), least)
    scale = torch.where(dead & (least > 0), least.clamp(min=SMALLEST_SCALE), widened)
    return replace(grid, scale=scale.to(torch.float32))


def _with_room_for_pairs(weight: Tensor, grid: QParams, high: int) -> QParams:
    """Twice the scale, and so 7 bits, for the channels in which two products can leave 16 bits."""
    q = quantize(weight.detach(), grid).to(torch.float64)
    rows = q.reshape(weight.shape[0] if grid.axis == 0 else 1, -1)
    factor = torch.where(saturating_pairs(rows, high), 2.0, 1.0)
    return replace(grid, scale=grid.scale * (factor if grid.axis == 0 else factor[0]))


def _widen(graph: Graph, assignment: Assignment, entries: dict[str, Entry]) -> bool:
    """Give results that are next to nothing beside their operands a grid that integers reach.

    A mean of what cancels, or a layer without life, is lost in the steps of what it is computed
    from. True if there was one.
    """
    found = False
    for node in graph.nodes:
        if not _is_narrowed(node, assignment):
            continue
        scale = _least_scale(node, entries)
        if scale > entries[node.output].params.scale.item():
            _check_bounds(node, scale)
            _set_scale(owner(node.output, assignment.shared), scale, assignment, entries)
            found = True
    return found


def _is_narrowed(node: Node, assignment: Assignment) -> bool:
    if node.output not in assignment.integer or node.output in assignment.accumulators:
        return False
    return isinstance(node.op, IntegerOp) and node.op.grid is Grid.OWN


def _least_scale(node: Node, entries: Mapping[str, Entry]) -> float:
    """The least scale of a node's result for its operands, with room to round."""
    assert isinstance(node.op, IntegerOp)  # callers pass these
    roles = node.op.roles(len(node.inputs))
    grids = [
        None if role in (Role.SIZE, Role.BIAS) else entries[name].params
        for name, role in zip(node.inputs, roles, strict=True)
    ]
    least = largest_operand(node.op, roles, grids) / (MOST_STEPS - 1)
    return torch.tensor(least, dtype=torch.float32).item()


def _check_bounds(node: Node, scale: float) -> None:
    """CalibrationError for a function that is next to a step: only its bounds would be left."""
    low, high = getattr(node.op, "low", None), getattr(node.op, "high", None)
    if low is None or high is None or high - low > FEWEST_STEPS * scale:
        return
    layer = node.origin.layer or node.output
    line = f" ({node.origin.line})" if node.origin.line else ""
    raise CalibrationError(
        f"{layer}{line} bounds to [{low:g}, {high:g}] what may be more than a thousand times as "
        f"large, which integers cannot tell apart; keep it float: overrides={{{layer!r}: None}}"
    )


def _set_scale(
    source: str, scale: float, assignment: Assignment, entries: dict[str, Entry]
) -> None:
    wider = torch.tensor(scale, dtype=torch.float32)
    for name in (source, *(n for n in assignment.shared if owner(n, assignment.shared) == source)):
        entry = entries[name]
        if wider > entry.params.scale:
            entries[name] = replace(entry, params=replace(entry.params, scale=wider))


def _derive(graph: Graph, node: Node, assignment: Assignment, entries: dict[str, Entry]) -> None:
    """Equation (2): the grid of the node's bias, and of its accumulator if that is the result."""
    roles = _by_role(node)
    is_product = isinstance(node.op, MatMul)
    if Role.WEIGHT not in roles and not is_product:
        return
    x = entries[node.inputs[0]].params
    factor = entries[node.inputs[1] if is_product else roles[Role.WEIGHT]].params
    scale = (x.scale.to(torch.float64) * factor.scale.to(torch.float64)).to(torch.float32)
    zero_point = torch.zeros_like(scale, dtype=torch.int32)
    axis = None if scale.ndim == 0 else 0
    if not is_product:
        entries[roles[Role.BIAS]] = Bias(QParams(scale, zero_point, INT32, axis))
    if node.output in assignment.accumulators:
        channel = len(graph.values[node.output].shape) - 1 if node.op.name == "linear" else 1
        params = QParams(scale, zero_point, INT32, None if axis is None else channel)
        entries[node.output] = Accumulator(params)


def _by_role(node: Node) -> dict[Role, str]:
    """The node's operands by what they are to it; of its activations the last."""
    assert isinstance(node.op, IntegerOp)  # only integer nodes are in the assignment
    return dict(zip(node.op.roles(len(node.inputs)), node.inputs, strict=True))


def _first_not_finite(graph: Graph, inputs: Inputs) -> str:
    """A sentence about the first layer whose output is not finite."""
    culprits: list[str] = []

    def listen(name: str, x: Any) -> None:
        if isinstance(x, Tensor) and x.is_floating_point() and not torch.isfinite(x).all():
            culprits.append(name)

    walk(graph, inputs, listener=listen)
    node = graph.producers[culprits[0]]
    layer = node.origin.layer or node.output
    line = f" ({node.origin.line})" if node.origin.line else ""
    return (
        f"the output of {layer}{line} is not finite on the calibration data although the input is: "
        "the float model overflows there; check its weights and the normalization of the images"
    )
