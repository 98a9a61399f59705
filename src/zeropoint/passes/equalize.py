"""Channels of activations in units of their own, so that one grid suits all of them.

    y_c / f_c   <=   w_c / f_c, b_c / f_c        rows of the layer that writes y
    x_c / f_c   =>   w_oc f_c                    columns of the layers that read x

f_c = 2^(-level_c / 8): a level is an eighth of an octave, and 0 to 255 fit a byte. Nothing is
multiplied at run time. Nagel et al. 2019, section 4.1, does so for the ranges of weights; here it
is activations that share a grid, and weights have one for each row.

Requires: levels such as balance/levels.py finds them: between a layer that writes a value and those
that read it, factors pass through every operator.
Ensures: the same function to float32 rounding, and exactly where levels are multiples of 8; but for
a bound other than zero (ReLU6): it cuts channel c off at f_c of itself. No value that the levels
were found on goes so far, and the grid ends there for all channels.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from zeropoint.graph.graph import Graph, Node
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear

OCTAVE = 8
"""Levels in a factor of two."""


def factors(levels: Tensor) -> Tensor:
    """What channels are divided by, float64."""
    return torch.exp2(levels.to(torch.float64) / -OCTAVE)


def equalize(graph: Graph, levels: Mapping[str, Tensor]) -> Graph:
    """The graph whose values have channels (C,) at these levels; without one they stay."""
    constants = dict(graph.constants)
    for node in graph.nodes:
        if not isinstance(node.op, Convolution | Linear):
            continue
        x, weight, bias, *_ = node.inputs
        if x in levels:
            constants[weight] = _times(constants[weight], _columns(node, factors(levels[x])))
        if node.output in levels:
            rows = 1 / factors(levels[node.output])
            for name in (weight, bias):
                constants[name] = _times(constants[name], rows)
    return replace(graph, constants=constants)


def _columns(node: Node, by: Tensor) -> Tensor:
    """The factors (groups, 1, C / groups) of columns; each group of rows has its own."""
    groups = node.op.groups if isinstance(node.op, Convolution) else 1
    return by.reshape(groups, 1, -1)


def _times(constant: Tensor, by: Tensor) -> Tensor:
    """A weight (O, C / groups, ...) or bias (O,) times factors of rows (O,) or of columns."""
    by = by.to(constant.device)
    groups = len(by)
    parts = constant.to(torch.float64).reshape(groups, len(constant) // groups, *constant.shape[1:])
    scaled = parts * by.reshape(*by.shape, *[1] * (parts.ndim - by.ndim))
    return scaled.reshape(constant.shape).to(constant.dtype)
