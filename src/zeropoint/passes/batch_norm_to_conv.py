"""A batch norm that nothing could absorb becomes a depthwise 1 x 1 convolution.

    y_c = factor_c x_c + offset_c        weight (C, 1, 1, ...), bias (C,), groups = C

    (N, C, ...)    batch_norm    =>    conv
    (N, C)         batch_norm    =>    reshape to (N, C, 1, 1), conv, flatten

So does any other factor and offset for each channel, and a number for all of them where the network
begins with it: a weight of one element is exact on its grid, and so no precision is lost.

Requires: channels along axis 1; run after fold_batch_norm.
Ensures: the same function to float32 rounding; an operator with int8 kernels in every engine.
"""

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter
from zeropoint.ops.conv import CONVS
from zeropoint.ops.shape import KEEP, Flatten, Reshape
from zeropoint.passes.affine import Affine, affine_of
from zeropoint.passes.fold_batch_norm import fold_batch_norm


def batch_norm_to_conv(graph: Graph) -> Graph:
    """The graph with what remains of factors and offsets of channels as convolutions."""
    edit = Rewriter(graph)
    for node in graph.nodes:
        affine = affine_of(graph, node)
        if affine is None or not _fits(graph, affine):
            continue
        before = graph.producers.get(affine.x)
        if before is not None and edit.touched(before):
            continue  # it is folded into the convolution that its operand becomes
        edit.replace(node, _through_image(graph, edit, node, affine))
    done = edit.done()
    return graph if done.nodes == graph.nodes else batch_norm_to_conv(fold_batch_norm(done))


def _fits(graph: Graph, affine: Affine) -> bool:
    shape = graph.values[affine.x].shape
    by_channel = affine.axis == 1 or (affine.axis is None and affine.x in graph.inputs)
    return by_channel and 2 <= len(shape) <= 5 and isinstance(shape[1], int)


def _through_image(graph: Graph, edit: Rewriter, node: Node, affine: Affine) -> list[Node]:
    """The convolution; over vectors, with an image of one pixel in between."""
    shape = graph.values[affine.x].shape
    if len(shape) > 2:
        return [_conv(graph, edit, node, affine, affine.x, node.output)]
    batch, channels = shape
    x, y = (
        edit.value(f"{node.output}.{end}", (batch, channels, 1, 1)) for end in ("pixel", "normed")
    )
    assert isinstance(channels, int)  # _fits says so
    return [
        Node(Reshape((KEEP, channels, 1, 1)), (affine.x,), (x,), node.origin),
        _conv(graph, edit, node, affine, x, y),
        Node(Flatten(), (y,), node.outputs, node.origin),
    ]


def _conv(graph: Graph, edit: Rewriter, node: Node, affine: Affine, x: str, y: str) -> Node:
    _, channels, *image = graph.values[affine.x].shape
    assert isinstance(channels, int)  # _fits says so
    rank = len(image) or 2
    factor, offset = affine.along(channels)
    rows = factor.float().reshape(channels, 1, *[1] * rank)
    weight = edit.constant(f"{node.output}.weight'", rows)
    bias = edit.constant(f"{node.output}.bias'", offset.float())
    return Node(CONVS[rank](groups=channels), (x, weight, bias), (y,), node.origin)
