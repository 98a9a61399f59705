"""A residual addition into the convolution before it.

    conv -> add <- y    =>    conv(..., addend=y)
    y - conv            =>    conv(-w, -b, addend=y), and so for every factor of the second operand

Requires: the convolution has neither activation nor addend, and only the addition reads it.
Ensures: the same function to float32 rounding. In integers the convolution's accumulator meets the
addend before the one rounding, and engines run both in one kernel. Of two candidates the later one
is taken, so that the other operand is already there.
"""

from collections.abc import Sequence
from dataclasses import replace

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.graph.value import UNKNOWN
from zeropoint.ops.add import Add
from zeropoint.ops.conv import Conv


def fuse_add(graph: Graph) -> Graph:
    """The graph with every addition in a convolution where one may take it."""
    edit = Rewriter(graph)
    order = {id(node): index for index, node in enumerate(graph.nodes)}
    for node, add in find(graph, Add):
        names = node.inputs if add.alpha == 1.0 else node.inputs[1:]
        candidates = [conv for conv in _writers(graph, names) if _free(graph, edit, conv)]
        if not candidates or not _same_shape(graph, node):
            continue
        conv = max(candidates, key=lambda candidate: order[id(candidate)])
        addend = next(name for name in node.inputs if name != conv.output)
        assert isinstance(conv.op, Conv)  # _free says so
        op = replace(conv.op, low=add.low, high=add.high)
        # At the addition's place: there the addend is written, wherever it comes from.
        operands = (*_scaled(graph, edit, conv, add.alpha), addend)
        edit.replace(node, [Node(op, operands, node.outputs, conv.origin)])
        edit.remove(conv)
    return edit.done()


def _writers(graph: Graph, names: Sequence[str]) -> list[Node]:
    producers = (graph.producers.get(name) for name in names)
    return [producer for producer in producers if producer is not None]


def _scaled(graph: Graph, edit: Rewriter, conv: Node, factor: float) -> tuple[str, ...]:
    """The operands of a convolution, for `factor` times its result."""
    if factor == 1.0:
        return conv.inputs
    x, *parameters = conv.inputs
    return (x, *(edit.constant(f"{name}'", factor * graph.constants[name]) for name in parameters))


def _free(graph: Graph, edit: Rewriter, node: Node) -> bool:
    op = node.op
    plain = isinstance(op, Conv) and (op.low, op.high, op.function) == (None, None, ())
    alone = graph.only_user(node.output) is not None
    return plain and alone and len(node.inputs) == 3 and not edit.touched(node)


def _same_shape(graph: Graph, node: Node) -> bool:
    first, second = (graph.values[name].shape for name in node.inputs)
    return first == second and UNKNOWN not in first
