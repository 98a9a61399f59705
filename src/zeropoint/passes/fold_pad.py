"""Explicit zero padding into the convolution after it.

    pad -> conv(padding=0)    =>    conv(padding=p)

Requires: the pad is of zeros, of known size, the same on both sides of each spatial dimension, and
only the convolution reads it.
Ensures: the same function to float32 rounding (kernels choose their sums by the padding).
"""

from dataclasses import replace

from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.ops.conv import Conv, Sizes
from zeropoint.ops.pad import Pad


def fold_pad(graph: Graph) -> Graph:
    """The graph with every symmetric pad inside its convolution."""
    edit = Rewriter(graph)
    for node, pad in find(graph, Pad):
        user = graph.only_user(node.output)
        if user is None or not isinstance(user.op, Conv):
            continue
        amounts = _symmetric(pad, len(user.op.padding))
        if amounts is None:
            continue
        padding = tuple(a + b for a, b in zip(user.op.padding, amounts, strict=True))
        op = replace(user.op, padding=padding)
        edit.replace(user, [replace(user, op=op)])
        edit.remove(node, reads=node.inputs[0])
    return edit.done()


def _symmetric(pad: Pad, rank: int) -> Sizes | None:
    """A number for each spatial dimension; None if it is another padding, or of something else."""
    amounts = [amount for amount in pad.amounts if amount is not None and amount >= 0]
    missing = 2 * rank - len(amounts)
    if pad != Pad(tuple(amounts)) or missing < 0:
        return None
    whole = [*amounts, *[0] * missing]
    before, after = whole[::2], whole[1::2]
    return tuple(reversed(before)) if before == after else None
