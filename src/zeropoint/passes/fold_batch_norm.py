"""Batch norm, and other factors and offsets, into the convolution or linear layer before it.

    w' = w gamma / sqrt(var + eps)        b' = (b - mean) gamma / sqrt(var + eps) + beta

    conv -> batch_norm    =>    conv'
    conv -> mul by a constant, a number for each channel or one for all    =>    conv'
    linear -> flatten(0, 1) -> batch_norm    =>    linear' -> flatten(0, 1)

Requires: the layer has no activation yet, nothing but the size of its result is read elsewhere, its
weight is a constant, the factors are along its output channels, which a reshape in between leaves
as they are.
Ensures: the same function to float32 rounding; the folding itself is done in float64.
"""

from dataclasses import replace

import torch
from torch import Tensor

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter
from zeropoint.graph.value import UNKNOWN, Shape
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.shape import Flatten, Reshape, SizeOf
from zeropoint.passes.affine import Affine, affine_of


def fold_batch_norm(graph: Graph) -> Graph:
    """The graph with every factor and offset folded that follows a convolution or linear layer."""
    edit = Rewriter(graph)
    for node in graph.nodes:
        affine = affine_of(graph, node)
        layer = None if affine is None else _layer_before(graph, affine.x, affine.axis)
        if affine is None or layer is None or edit.touched(layer):
            continue
        folded = _folded(graph, edit, layer, affine)
        if graph.only_user(layer.output) is node:
            edit.replace(layer, [replace(folded, outputs=node.outputs)])
            edit.remove(node)
        else:
            edit.replace(layer, [folded])
            edit.remove(node, reads=affine.x)
    done = edit.done()
    # Two batch norms in a row are two rounds: the second then follows what took the first.
    return done if len(done.nodes) == len(graph.nodes) else fold_batch_norm(done)


def _layer_before(graph: Graph, name: str, axis: int | None) -> Node | None:
    """The layer whose channels are axis `axis` of a value, if their factors can go into it."""
    node = graph.producers.get(name)
    if node is None or not _is_read_once(graph, name):
        return None
    if isinstance(node.op, Convolution | Linear):
        channels = 1 if isinstance(node.op, Convolution) else len(graph.values[name].shape) - 1
        return node if _is_plain(node) and axis in (None, channels) else None
    if not isinstance(node.op, Flatten | Reshape):
        return None
    (source, *_) = node.inputs
    if axis is None:
        return _layer_before(graph, source, None)
    before = _axis_before(graph.values[source].shape, graph.values[name].shape, axis)
    return None if before is None else _layer_before(graph, source, before)


def _is_read_once(graph: Graph, name: str) -> bool:
    """True if one node reads more of a value than its size."""
    readers = [user for user in graph.users[name] if not isinstance(user.op, SizeOf)]
    return len(readers) == 1 and name not in graph.outputs


def _is_plain(layer: Node) -> bool:
    """True for a layer without an activation or a residual."""
    op = layer.op
    assert isinstance(op, Convolution | Linear)  # the caller checks
    return len(layer.inputs) == 3 and op.low is None and op.high is None and not op.function


def _axis_before(before: Shape, after: Shape, axis: int) -> int | None:
    """Which axis a reshape has left as it is, elements in rows; None if it has not."""
    if UNKNOWN not in after[: axis + 1] and before[: axis + 1] == after[: axis + 1]:
        return axis
    tail = after[axis:]
    same = UNKNOWN not in tail and before[-len(tail) :] == tail
    return len(before) - len(tail) if same else None


def _folded(graph: Graph, edit: Rewriter, layer: Node, affine: Affine) -> Node:
    x, weight_name, bias_name = layer.inputs
    weight, bias = graph.constants[weight_name], graph.constants[bias_name]
    factor, offset = affine.along(len(bias))
    new_weight = _scale_rows(weight.to(torch.float64), factor).to(weight.dtype)
    new_bias = (bias.to(torch.float64) * factor + offset).to(bias.dtype)
    names = (edit.constant(f"{layer.output}.weight'", new_weight), _bias(edit, layer, new_bias))
    return replace(layer, inputs=(x, *names))


def _bias(edit: Rewriter, layer: Node, bias: Tensor) -> str:
    return edit.constant(f"{layer.output}.bias'", bias)


def _scale_rows(weight: Tensor, factor: Tensor) -> Tensor:
    return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
