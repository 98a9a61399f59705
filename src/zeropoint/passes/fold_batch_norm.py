"""Batch norm into the convolution or linear layer before it.

    w' = w gamma / sqrt(var + eps)        b' = (b - mean) gamma / sqrt(var + eps) + beta

    conv -> batch_norm    =>    conv'

Requires: the layer has no activation yet, nothing else reads its result, its weight is a constant,
its output channels are axis 1.
Ensures: the same function to float32 rounding; the folding itself is done in float64.
"""

from dataclasses import replace

import torch
from torch import Tensor

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter, find
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear


def fold_batch_norm(graph: Graph) -> Graph:
    """The graph with every batch norm folded that follows a convolution or linear layer."""
    edit = Rewriter(graph)
    for node, norm in find(graph, BatchNorm):
        layer = graph.producers.get(node.inputs[0])
        if layer is not None and not edit.touched(layer) and _foldable(graph, layer):
            edit.replace(layer, [_folded(graph, edit, layer, node, norm)])
            edit.remove(node)
    folded = edit.done()
    # Two batch norms in a row are two rounds: the second then follows what took the first.
    return folded if len(folded.nodes) == len(graph.nodes) else fold_batch_norm(folded)


def _foldable(graph: Graph, layer: Node) -> bool:
    op = layer.op
    plain = isinstance(op, (Conv2d, Linear)) and op.low is None and op.high is None
    alone = graph.only_user(layer.output) is not None
    # The channels of a batch norm are axis 1; of a linear layer's result they are the last.
    same_axis = isinstance(op, Conv2d) or len(graph.values[layer.output].shape) == 2
    return plain and alone and same_axis and len(layer.inputs) == 3


def _folded(graph: Graph, edit: Rewriter, layer: Node, node: Node, norm: BatchNorm) -> Node:
    factor, offset = norm.affine(*(graph.constants[name] for name in node.inputs[1:]))
    x, weight_name, bias_name = layer.inputs
    weight, bias = graph.constants[weight_name], graph.constants[bias_name]
    new_weight = _scale_rows(weight.to(torch.float64), factor).to(weight.dtype)
    new_bias = (bias.to(torch.float64) * factor + offset).to(bias.dtype)
    names = (edit.constant(f"{layer.output}.weight'", new_weight), _bias(edit, layer, new_bias))
    return replace(layer, inputs=(x, *names), outputs=node.outputs)


def _bias(edit: Rewriter, layer: Node, bias: Tensor) -> str:
    return edit.constant(f"{layer.output}.bias'", bias)


def _scale_rows(weight: Tensor, factor: Tensor) -> Tensor:
    return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
