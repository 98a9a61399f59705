"""Dropout out of a graph that is for inference.

    x -> dropout -> y    =>    x -> y

Requires: nothing.
Ensures: the same function exactly.
"""

from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.ops.dropout import Dropout


def remove_dropout(graph: Graph) -> Graph:
    """The graph without dropouts."""
    edit = Rewriter(graph)
    for node, _ in find(graph, Dropout):
        edit.remove(node, reads=node.inputs[0])
    return edit.done()
