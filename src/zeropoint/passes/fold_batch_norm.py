"""Batch norm, and other factors and offsets, into the convolution or linear layer before it.

    w' = w gamma / sqrt(var + eps)        b' = (b - mean) gamma / sqrt(var + eps) + beta

    conv -> batch_norm    =>    conv'
    conv -> mul by a constant, a number for each channel or one for all    =>    conv'

Requires: the layer has no activation yet, nothing else reads its result, its weight is a constant,
the factors are along its output channels.
Ensures: the same function to float32 rounding; the folding itself is done in float64.
"""

from dataclasses import replace

import torch
from torch import Tensor

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.passes.affine import Affine, affine_of


def fold_batch_norm(graph: Graph) -> Graph:
    """The graph with every factor and offset folded that follows a convolution or linear layer."""
    edit = Rewriter(graph)
    for node in graph.nodes:
        affine = affine_of(graph, node)
        layer = None if affine is None else graph.producers.get(affine.x)
        if affine is None or layer is None or edit.touched(layer):
            continue
        if _foldable(graph, layer, affine):
            edit.replace(layer, [_folded(graph, edit, layer, node, affine)])
            edit.remove(node)
    folded = edit.done()
    # Two batch norms in a row are two rounds: the second then follows what took the first.
    return folded if len(folded.nodes) == len(graph.nodes) else fold_batch_norm(folded)


def _foldable(graph: Graph, layer: Node, affine: Affine) -> bool:
    op = layer.op
    if not isinstance(op, Convolution | Linear) or len(layer.inputs) != 3:
        return False
    plain = op.low is None and op.high is None and not op.function
    alone = graph.only_user(layer.output) is not None
    channels = 1 if isinstance(op, Convolution) else len(graph.values[layer.output].shape) - 1
    return plain and alone and affine.axis in (None, channels)


def _folded(graph: Graph, edit: Rewriter, layer: Node, node: Node, affine: Affine) -> Node:
    x, weight_name, bias_name = layer.inputs
    weight, bias = graph.constants[weight_name], graph.constants[bias_name]
    factor, offset = affine.along(len(bias))
    new_weight = _scale_rows(weight.to(torch.float64), factor).to(weight.dtype)
    new_bias = (bias.to(torch.float64) * factor + offset).to(bias.dtype)
    names = (edit.constant(f"{layer.output}.weight'", new_weight), _bias(edit, layer, new_bias))
    return replace(layer, inputs=(x, *names), outputs=node.outputs)


def _bias(edit: Rewriter, layer: Node, bias: Tensor) -> str:
    return edit.constant(f"{layer.output}.bias'", bias)


def _scale_rows(weight: Tensor, factor: Tensor) -> Tensor:
    return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
