"""A residual addition into the convolution before it.

    conv -> add <- y    =>    conv(..., addend=y)

Requires: the convolution has neither activation nor addend, and only the addition reads it.
Ensures: the same function to float32 rounding. In integers the convolution's accumulator meets the
addend before the one rounding, and engines run both in one kernel. Of two candidates the later one
is taken, so that the other operand is already there.
"""

from dataclasses import replace

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.graph.value import UNKNOWN
from zeropoint.ops.add import Add
from zeropoint.ops.conv import Conv2d


def fuse_add(graph: Graph) -> Graph:
    """The graph with every addition in a convolution where one may take it."""
    edit = Rewriter(graph)
    order = {id(node): index for index, node in enumerate(graph.nodes)}
    for node, add in find(graph, Add):
        candidates = [conv for conv in _operands(graph, node) if _free(graph, edit, conv)]
        if not candidates or not _same_shape(graph, node):
            continue
        conv = max(candidates, key=lambda candidate: order[id(candidate)])
        addend = next(name for name in node.inputs if name != conv.output)
        assert isinstance(conv.op, Conv2d)  # _free says so
        op = replace(conv.op, low=add.low, high=add.high)
        # At the addition's place: there the addend is written, wherever it comes from.
        edit.replace(node, [Node(op, (*conv.inputs, addend), node.outputs, conv.origin)])
        edit.remove(conv)
    return edit.done()


def _operands(graph: Graph, node: Node) -> list[Node]:
    producers = (graph.producers.get(name) for name in node.inputs)
    return [producer for producer in producers if producer is not None]


def _free(graph: Graph, edit: Rewriter, node: Node) -> bool:
    op = node.op
    plain = isinstance(op, Conv2d) and op.low is None and op.high is None
    alone = graph.only_user(node.output) is not None
    return plain and alone and len(node.inputs) == 3 and not edit.touched(node)


def _same_shape(graph: Graph, node: Node) -> bool:
    first, second = (graph.values[name].shape for name in node.inputs)
    return first == second and UNKNOWN not in first
