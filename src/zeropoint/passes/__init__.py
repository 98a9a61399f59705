"""Rewrites of the float graph that keep its function; one file a pass.

To add one, write its file and put it into the sequence: each sees what those before it made.
"""

from collections.abc import Callable

from zeropoint.graph.graph import Graph
from zeropoint.passes.batch_norm_to_conv import batch_norm_to_conv
from zeropoint.passes.cancel_reshapes import cancel_reshapes
from zeropoint.passes.compose_functions import compose_functions
from zeropoint.passes.find_shuffles import find_shuffles
from zeropoint.passes.fold_batch_norm import fold_batch_norm
from zeropoint.passes.fold_pad import fold_pad
from zeropoint.passes.fuse_activation import fuse_activation
from zeropoint.passes.fuse_add import fuse_add
from zeropoint.passes.fuse_function import fuse_function, fuse_last_function
from zeropoint.passes.merge_means import merge_means
from zeropoint.passes.narrow_residuals import narrow_residuals
from zeropoint.passes.remove_dropout import remove_dropout
from zeropoint.passes.separate_biases import separate_biases

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (
    remove_dropout,
    find_shuffles,
    merge_means,
    fold_pad,
    fold_batch_norm,
    cancel_reshapes,
    compose_functions,
    batch_norm_to_conv,
    fuse_activation,
    fuse_add,
    fuse_function,
    separate_biases,
)


def simplify(
    graph: Graph,
    *,
    fuse_additions: bool = True,
    fuse_functions: bool = True,
    for_training: bool = False,
    wide_residuals: bool = False,
) -> Graph:
    """The graph after all passes: the same function in fewer operators.

    Without `fuse_additions` a residual addition stays an operator of its own; without
    `fuse_functions` so does a function, but for the last one, which real numbers leave through. A
    graph that is `for_training` keeps its dropouts, and nothing is fused across them. With
    `wide_residuals` layers read a requantized copy of what additions read and write.
    """
    left_out: set[Pass] = set()
    if not fuse_additions:
        left_out.add(fuse_add)
    if for_training:
        left_out.add(remove_dropout)
    for rewrite in PASSES:
        if rewrite in left_out:
            continue
        if rewrite is fuse_function and not fuse_functions:
            rewrite = fuse_last_function
        graph = rewrite(graph)
    return narrow_residuals(graph) if wide_residuals else graph
