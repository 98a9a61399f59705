"""ReLU, ReLU6 and clamp into the operator before them.

    conv -> clamp    =>    conv(low, high)         also linear, add and mul

Requires: nothing else reads the operator's result.
Ensures: the same function exactly; two clamps become the intersection of their bounds.
"""

from dataclasses import replace

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.mul import Mul

Clamped = Convolution | Linear | Add | Mul | Clamp


def fuse_activation(graph: Graph) -> Graph:
    """The graph with every clamp in the operator before it, where it has one of its own."""
    edit = Rewriter(graph)
    for node, clamp in find(graph, Clamp):
        before = graph.producers.get(node.inputs[0])
        if before is None or edit.touched(before) or graph.only_user(before.output) is None:
            continue
        op = _clamped(before.op, clamp)
        if op is not None:
            edit.replace(before, [Node(op, before.inputs, node.outputs, before.origin)])
            edit.remove(node)
    fused = edit.done()
    # Two clamps in a row are two rounds: the second then follows what took the first.
    return fused if len(fused.nodes) == len(graph.nodes) else fuse_activation(fused)


def _clamped(op: object, clamp: Clamp) -> Clamped | None:
    if not isinstance(op, Clamped):
        return None
    low, high = clamp.low, clamp.high
    if op.low is not None:
        low = op.low if low is None else max(low, op.low)
    if op.high is not None:
        high = op.high if high is None else min(high, op.high)
    if low is not None and high is not None and low > high:
        return None
    return replace(op, low=low, high=high)
