"""Explicit zero padding into the convolution after it.

    pad -> conv(padding=0)    =>    conv(padding=p)

Requires: the pad is the same on both sides of height and of width, and only the convolution reads
it. Ensures: the same function to float32 rounding (kernels choose their sums by the padding).
"""

from dataclasses import replace

from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.ops.conv import Conv2d, Pair
from zeropoint.ops.pad import Pad


def fold_pad(graph: Graph) -> Graph:
    """The graph with every symmetric pad inside its convolution."""
    edit = Rewriter(graph)
    for node, pad in find(graph, Pad):
        user = graph.only_user(node.output)
        amount = _symmetric(pad)
        if user is None or amount is None or not isinstance(user.op, Conv2d):
            continue
        before = user.op.padding
        op = replace(user.op, padding=(before[0] + amount[0], before[1] + amount[1]))
        edit.replace(user, [replace(user, op=op)])
        edit.remove(node, reads=node.inputs[0])
    return edit.done()


def _symmetric(pad: Pad) -> Pair | None:
    """(height, width) if both sides agree and nothing else is padded or cropped."""
    if len(pad.amounts) != 4 or min(pad.amounts) < 0:
        return None
    left, right, top, bottom = pad.amounts
    return (top, left) if (left, top) == (right, bottom) else None
