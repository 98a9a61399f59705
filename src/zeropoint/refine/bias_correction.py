"""Biases that take back what the rounding of the weights shifts.

    b' = b - sum_k (Q(w_k) - w_k) E[x_k]        Nagel et al. 2019, equation (16), with observed E[x]

Rounding a weight adds (Q(w) - w) x to each result. x has a mean, above all behind a ReLU, so that
part of this error is the same everywhere and can be taken off the bias, exactly and for nothing.

Requires: the means of what layers read, with their channels (Observation.means). What is padded
with is taken to be like the rest.
Ensures: constants of layers that run in integers change, and nothing else.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import dequantize, quantize
from zeropoint.calibrate import channels_read
from zeropoint.graph.graph import Graph, Node
from zeropoint.observe.observation import Observation
from zeropoint.ops.conv import Convolution
from zeropoint.ops.conv_transpose import ConvTranspose
from zeropoint.plan import Plan
from zeropoint.recipe import Recipe


def correct_biases(
    graph: Graph,
    plan: Plan,
    observations: Mapping[str, Observation],
    recipe: Recipe,
    rounded: Graph | None = None,
) -> Graph:
    """The graph whose layers, with weights on the plan's grids, have the means they had in `graph`.

    `rounded` is the graph with its weights as they are going to be, if they are not the nearest.
    """
    result = rounded or graph
    constants = dict(result.constants)
    for node in graph.nodes:
        axis, asked = channels_read(node), recipe.for_layer(node.origin)
        if axis is None or asked is None or not asked.bias_correction:
            continue
        observation = observations.get(node.inputs[0])
        means = None if observation is None else observation.means(axis)
        if means is not None and _is_rounded(graph, plan, node):
            bias = graph.constants[node.inputs[2]]
            shifted = bias.to(torch.float64) - shift(graph, plan, node, means, constants)
            constants[node.inputs[2]] = shifted.to(bias.dtype)
    return replace(result, constants=constants)


def _is_rounded(graph: Graph, plan: Plan, node: Node) -> bool:
    _, weight, bias, *_ = node.inputs
    constant = weight in graph.constants and bias in graph.constants
    return constant and node.output not in plan.reasons and weight in plan.entries


def shift(
    graph: Graph, plan: Plan, node: Node, means: Tensor, rounded: Mapping[str, Tensor]
) -> Tensor:
    """How far the layer's results lie from where they should, in the mean: float64, a channel."""
    weight = graph.constants[node.inputs[1]].detach().to(torch.float64)
    grid = plan.entries[node.inputs[1]].params
    near = rounded[node.inputs[1]].detach().to(torch.float64)
    error = dequantize(quantize(near, grid), grid).to(torch.float64) - weight
    rows = error.flatten(2).sum(2) if error.ndim > 2 else error  # (O, C / groups)
    if isinstance(node.op, ConvTranspose):
        rows = rows / math.prod(node.op.stride)  # of the taps only these meet an element
    groups = node.op.groups if isinstance(node.op, Convolution) else 1
    by_group = means.to(torch.float64).reshape(groups, 1, -1)
    return (rows.reshape(groups, -1, by_group.shape[2]) * by_group).sum(2).flatten()
