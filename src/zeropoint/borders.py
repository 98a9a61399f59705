"""On which side of a border an operator stands that could stand on both.

    conv -> permute -> sigmoid -> output    the layer's accumulator leaves as real numbers, and what
                                            follows it computes with those: no 8 bits in between
    input -> slice -> concat -> conv        quantized first: bytes are moved, not floats
    layer_norm -> permute -> conv

Both are free: a border is crossed once, wherever it is.
"""

from collections.abc import Collection

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.movement import Movement
from zeropoint.ops.mul import Mul
from zeropoint.ops.pad import Pad, PadWith
from zeropoint.ops.pool import AdaptiveAveragePool, AveragePool, GlobalAveragePool
from zeropoint.ops.reduce import Amax, Mean, Sum
from zeropoint.ops.table import Table
from zeropoint.ops.upsample import Interpolate

AVERAGES = (AveragePool, AdaptiveAveragePool, GlobalAveragePool, Mean, Sum)
FOLLOWERS = (
    Movement, Pad, PadWith, Concat, Clamp, Table, Add, Mul, Maximum, Minimum, Interpolate, *AVERAGES
)  # fmt: skip
"""What keeps as many bits as it is given."""


def operands(node: Node) -> list[tuple[str, Role]]:
    """The operands of an integer operator, with their roles."""
    assert isinstance(node.op, IntegerOp)  # callers pass nodes that may run in integers
    return list(zip(node.inputs, node.op.roles(len(node.inputs)), strict=True))


def activations(node: Node) -> list[str]:
    """Those that are quantized at run time."""
    return [name for name, role in operands(node) if role is Role.ACTIVATION]


def accumulates(node: Node) -> bool:
    """True if the int32 accumulator itself may be the node's result: the sum of one product."""
    if isinstance(node.op, MatMul):
        return True
    weights = sum(role is Role.WEIGHT for _, role in operands(node))
    return weights == 1 and len(activations(node)) == 1


def leaving(graph: Graph, integer: Collection[Node]) -> frozenset[str]:
    """The outputs of the followers that read accumulators only, and feed no integer node."""
    inside = {node.output for node in integer}
    layers = {node.output for node in integer if accumulates(node)}
    followers = [node for node in integer if isinstance(node.op, FOLLOWERS)]
    found = {node.output for node in followers}

    def stays_outside(name: str) -> bool:
        users = (user.output for user in graph.users[name])
        return all(user in found or user not in inside for user in users)

    def is_real(name: str) -> bool:
        return name in found or (name in layers and stays_outside(name))

    while True:
        ruled_out = {
            node.output
            for node in followers
            if node.output in found
            and not (
                stays_outside(node.output)
                and any(name not in graph.constants for name in activations(node))
                and all(is_real(name) or name in graph.constants for name in activations(node))
            )
        }
        if not ruled_out:
            return frozenset(found)
        found -= ruled_out


def returning(
    graph: Graph, integer: Collection[Node], candidates: Collection[Node]
) -> frozenset[str]:
    """The outputs of those candidates that move float values, for nothing but integer nodes."""
    inside = {node.output for node in integer}
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node not in candidates or not _moves_bytes(node) or node.output in graph.outputs:
            continue
        users = {user.output for user in graph.users[node.output]}
        if users and users <= inside | found:
            found.add(node.output)
    return frozenset(found)


def _moves_bytes(node: Node) -> bool:
    """True if quantizing before the node is as good as behind it: the same numbers, or fewer."""
    return isinstance(node.op, Movement | Concat | Pad) and not isinstance(node.op, Amax)
