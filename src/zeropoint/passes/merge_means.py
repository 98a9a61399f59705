"""Global pooling in several steps as one mean.

    mean(3) -> mean(2)          =>    global average pool
    flatten(2) -> mean(2)       =>    global average pool

Requires: nothing else reads what is in between.
Ensures: the same function to float32 rounding, rounded once in integers; a mean over height and
width is the operator that engines have a kernel for.
"""

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import Op
from zeropoint.graph.rewrite import Rewriter
from zeropoint.ops.pool import GlobalAveragePool
from zeropoint.ops.reduce import Mean
from zeropoint.ops.shape import Flatten


def merge_means(graph: Graph) -> Graph:
    """The graph with one mean for each that is taken in steps."""
    edit = Rewriter(graph)
    for node in graph.nodes:
        before = graph.producers.get(node.inputs[0]) if node.inputs else None
        if before is None or edit.touched(before) or graph.only_user(before.output) is None:
            continue
        rank = len(graph.values[before.inputs[0]].shape) if before.inputs else 0
        op = _merged(before.op, node.op, rank)
        if op is not None:
            edit.remove(before)
            edit.replace(node, [Node(op, before.inputs, node.outputs, node.origin)])
    done = edit.done()
    return done if len(done.nodes) == len(graph.nodes) else merge_means(done)


def _merged(first: Op, second: Op, rank: int) -> Op | None:
    """The two as one, on an operand of that rank; None if they are none."""
    if not isinstance(second, Mean):
        return None
    if isinstance(first, Mean) and first.keep == second.keep:
        left = [axis for axis in range(rank) if first.keep or axis not in first.axes]
        axes = {*first.axes, *(left[axis] for axis in second.axes)}
        return _mean(tuple(sorted(axes)), rank, keep=second.keep)
    if first == Flatten(2) and second == Mean((2,)):
        return _mean(tuple(range(2, rank)), rank, keep=False)
    return None


def _mean(axes: tuple[int, ...], rank: int, *, keep: bool) -> Op:
    return GlobalAveragePool(keep) if rank == 4 and axes == (2, 3) else Mean(axes, keep)
