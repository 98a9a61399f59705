"""A bias of its own for each layer.

    conv(x, w, b), conv(y, w, b)    =>    conv(x, w, b), conv(y, w, b')        b' = b

A module that is used twice meets two inputs on two grids; its weight can live on one grid all the
same, but a bias lives at s_x s_w, so there must be as many as there are inputs.

Requires: nothing.
Ensures: the same function exactly; no bias is read by two nodes.
"""

from dataclasses import replace

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.graph.rewrite import Rewriter


def separate_biases(graph: Graph) -> Graph:
    """The graph with a copy of each bias for every reader after the first."""
    edit = Rewriter(graph)
    taken: set[str] = set()
    for node in graph.nodes:
        bias = _bias(graph, node)
        if bias is None:
            continue
        if bias in taken:
            copy = edit.constant(bias, graph.constants[bias])
            inputs = tuple(copy if name == bias else name for name in node.inputs)
            edit.replace(node, [replace(node, inputs=inputs)])
        taken.add(bias)
    return edit.done()


def _bias(graph: Graph, node: Node) -> str | None:
    if not isinstance(node.op, IntegerOp):
        return None
    roles = zip(node.inputs, node.op.roles(len(node.inputs)), strict=True)
    found = [name for name, role in roles if role is Role.BIAS and name in graph.constants]
    return found[0] if found else None
