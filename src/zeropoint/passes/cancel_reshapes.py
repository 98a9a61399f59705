"""Reshapes that end where they began, away.

    x -> flatten(0, 1) -> reshape to the shape of x    =>    x

Requires: nothing.
Ensures: the same function, exactly; what stood on both sides of them become neighbours. What else
reads a value in between still finds it.
"""

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter
from zeropoint.graph.value import UNKNOWN
from zeropoint.ops.shape import Flatten, Reshape, Squeeze, Unsqueeze

VIEWS = (Flatten, Reshape, Squeeze, Unsqueeze)


def cancel_reshapes(graph: Graph) -> Graph:
    """The graph without reshapes that undo each other."""
    edit = Rewriter(graph)
    for node in graph.nodes:
        same = _origin_of(graph, node)
        if same is not None:
            edit.remove(node, reads=same)
    return edit.done()


def _origin_of(graph: Graph, node: Node) -> str | None:
    """The first value, through reshapes alone, whose shape the node's result has."""
    shape = graph.values[node.output].shape
    if UNKNOWN in shape:
        return None
    found, step = None, node
    while isinstance(step.op, VIEWS):
        name = step.inputs[0]
        if graph.values[name].shape == shape:
            found = name
        if name not in graph.producers:
            break
        step = graph.producers[name]
    return found
