"""A function into the layer before it.

    conv -> table(silu)    =>    conv(function=silu)        also linear

Requires: nothing else reads the layer's result; the function is finite for every finite number,
since an accumulator can be any.
Ensures: the same function exactly. In integers the function meets the accumulator before the one
rounding (5), where it would otherwise see 8 bits of it.

`fuse_last_function` takes the functions that no operator reads: the layer's accumulator leaves the
network as a real number, and the function is applied to that. It may be any.
"""

from collections.abc import Callable
from dataclasses import replace

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.ops.conv import Convolution
from zeropoint.ops.functions import Steps, after, is_tame
from zeropoint.ops.linear import Linear
from zeropoint.ops.table import Table

Layer = Convolution | Linear


def fuse_function(graph: Graph) -> Graph:
    """The graph with every function in the layer before it, where that may have one."""
    return _fused(fuse_last_function(graph), lambda layer, node, steps: is_tame(steps))


def fuse_last_function(graph: Graph) -> Graph:
    """The graph with those functions in the layer before them that end it."""
    return _fused(
        graph, lambda layer, node, steps: len(layer.inputs) == 3 and not graph.users[node.output]
    )


def _fused(graph: Graph, may: Callable[[Node, Node, Steps], bool]) -> Graph:
    edit = Rewriter(graph)
    for node, table in find(graph, Table):
        layer = graph.producers.get(node.inputs[0])
        if layer is None or not isinstance(layer.op, Layer) or layer.op.function:
            continue
        steps = after(_bounds(layer.op), table.steps)
        if graph.only_user(layer.output) is None or not may(layer, node, steps):
            continue
        op = replace(layer.op, low=None, high=None, function=steps)
        edit.replace(layer, [Node(op, layer.inputs, node.outputs, layer.origin)])
        edit.remove(node)
    return edit.done()


def _bounds(op: Layer) -> Steps:
    """What the layer does to its result already."""
    bounded = op.low is not None or op.high is not None
    return (("clamp", "x", op.low, op.high),) if bounded else ()
