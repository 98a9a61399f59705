"""A channel shuffle that is spelled out.

    reshape (N, g, c, ...) -> permute (0, 2, 1, ...) -> reshape (N, C, ...)  =>  channel_shuffle(g)

Requires: a known number of channels; nothing else reads what is in between.
Ensures: the same function exactly, in one operator that engines have kernels for.
"""

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.graph.value import UNKNOWN
from zeropoint.ops.permute import Permute
from zeropoint.ops.shape import Flatten, Reshape
from zeropoint.ops.shuffle import ChannelShuffle


def find_shuffles(graph: Graph) -> Graph:
    """The graph with one operator for each shuffle of channels."""
    edit = Rewriter(graph)
    for node, permute in find(graph, Permute):
        before = graph.producers.get(node.inputs[0])
        after = graph.only_user(node.output)
        if before is None or after is None or graph.only_user(before.output) is not node:
            continue
        groups = _groups(graph, before, permute, after)
        if groups is None:
            continue
        shuffle = Node(ChannelShuffle(groups), before.inputs[:1], after.outputs, after.origin)
        edit.remove(before)
        edit.remove(node)
        edit.replace(after, [shuffle])
    return edit.done()


def _groups(graph: Graph, before: Node, permute: Permute, after: Node) -> int | None:
    """How many groups the three nodes interleave; None if they do anything else."""
    if not isinstance(before.op, Reshape) or not isinstance(after.op, Reshape | Flatten):
        return None
    x, y = graph.values[before.inputs[0]].shape, graph.values[after.output].shape
    apart = graph.values[before.output].shape
    if len(x) < 3 or len(apart) != len(x) + 1 or permute.order[:3] != (0, 2, 1):
        return None
    _, groups, each, *rest = apart
    known = isinstance(groups, int) and isinstance(each, int)
    same = x == y and x[0] == apart[0] and list(x[2:]) == rest
    in_place = permute.order[3:] == tuple(range(3, len(apart)))
    if not (known and same and in_place and UNKNOWN not in x):
        return None
    assert isinstance(groups, int)  # `known` says so
    return groups
