"""Rewrites of the float graph that keep its function; one file a pass.

To add one, write its file and put it into the sequence: each sees what those before it made.
"""

from collections.abc import Callable

from zeropoint.graph.graph import Graph
from zeropoint.passes.batch_norm_to_conv import batch_norm_to_conv
from zeropoint.passes.compose_functions import compose_functions
from zeropoint.passes.find_shuffles import find_shuffles
from zeropoint.passes.fold_batch_norm import fold_batch_norm
from zeropoint.passes.fold_pad import fold_pad
from zeropoint.passes.fuse_activation import fuse_activation
from zeropoint.passes.fuse_add import fuse_add
from zeropoint.passes.fuse_function import fuse_function, fuse_last_function
from zeropoint.passes.merge_means import merge_means
from zeropoint.passes.separate_biases import separate_biases

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (
    find_shuffles,
    merge_means,
    fold_pad,
    fold_batch_norm,
    compose_functions,
    batch_norm_to_conv,
    fuse_activation,
    fuse_add,
    fuse_function,
    separate_biases,
)


def simplify(graph: Graph, *, fuse_additions: bool = True, fuse_functions: bool = True) -> Graph:
    """The graph after all passes: the same function in fewer operators.

    Without `fuse_additions` a residual addition stays an operator of its own; without
    `fuse_functions` so does a function, but for the last one, which real numbers leave through.
    """
    for rewrite in PASSES:
        if rewrite is fuse_add and not fuse_additions:
            continue
        if rewrite is fuse_function and not fuse_functions:
            rewrite = fuse_last_function
        graph = rewrite(graph)
    return graph
