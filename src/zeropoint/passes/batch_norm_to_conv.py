"""A batch norm that nothing could absorb becomes a depthwise 1 x 1 convolution.

    y_c = factor_c x_c + offset_c        weight (C, 1, 1, 1), bias (C,), groups = C

    (N, C)   batch_norm    =>    reshape to (N, C, 1, 1), conv, flatten

Requires: an input (N, C, H, W) or (N, C); run after fold_batch_norm.
Ensures: the same function to float32 rounding; an operator with int8 kernels in every engine.
"""

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.shape import KEEP, Flatten, Reshape


def batch_norm_to_conv(graph: Graph) -> Graph:
    """The graph with every remaining batch norm over images or vectors as a convolution."""
    edit = Rewriter(graph)
    for node, norm in find(graph, BatchNorm):
        rank = len(graph.values[node.inputs[0]].shape)
        if rank == 4:
            edit.replace(node, [_conv(graph, edit, node, norm, node.inputs[0], node.output)])
        if rank == 2:
            edit.replace(node, _through_image(graph, edit, node, norm))
    return edit.done()


def _through_image(graph: Graph, edit: Rewriter, node: Node, norm: BatchNorm) -> list[Node]:
    """The same over vectors: an image of one pixel in between."""
    batch, channels = graph.values[node.inputs[0]].shape
    assert isinstance(channels, int)  # the parameters have as many elements
    image = (batch, channels, 1, 1)
    x, y = (edit.value(f"{node.output}.{end}", image) for end in ("pixel", "normed"))
    return [
        Node(Reshape((KEEP, channels, 1, 1)), (node.inputs[0],), (x,), node.origin),
        _conv(graph, edit, node, norm, x, y),
        Node(Flatten(), (y,), node.outputs, node.origin),
    ]


def _conv(graph: Graph, edit: Rewriter, node: Node, norm: BatchNorm, x: str, y: str) -> Node:
    factor, offset = norm.affine(*(graph.constants[name] for name in node.inputs[1:]))
    channels = factor.numel()
    weight = edit.constant(f"{node.output}.weight'", factor.float().reshape(channels, 1, 1, 1))
    bias = edit.constant(f"{node.output}.bias'", offset.float())
    return Node(Conv2d(groups=channels), (x, weight, bias), (y,), node.origin)
