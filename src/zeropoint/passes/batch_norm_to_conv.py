"""A batch norm that nothing could absorb becomes a depthwise 1 x 1 convolution.

    y_c = factor_c x_c + offset_c        weight (C, 1, 1, 1), bias (C,), groups = C

Requires: an image input (N, C, H, W); run after fold_batch_norm.
Ensures: the same function to float32 rounding; an operator with int8 kernels in every engine.
"""

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.conv import Conv2d


def batch_norm_to_conv(graph: Graph) -> Graph:
    """The graph with every remaining batch norm over images as a convolution."""
    edit = Rewriter(graph)
    for node, norm in find(graph, BatchNorm):
        if len(graph.values[node.inputs[0]].shape) == 4:
            edit.replace(node, [_as_conv(graph, edit, node, norm)])
    return edit.done()


def _as_conv(graph: Graph, edit: Rewriter, node: Node, norm: BatchNorm) -> Node:
    factor, offset = norm.affine(*(graph.constants[name] for name in node.inputs[1:]))
    channels = factor.numel()
    weight = edit.constant(f"{node.output}.weight'", factor.float().reshape(channels, 1, 1, 1))
    bias = edit.constant(f"{node.output}.bias'", offset.float())
    return Node(Conv2d(groups=channels), (node.inputs[0], weight, bias), node.outputs, node.origin)
