"""A convolution with an addend, where the integers have to meet twice.

    program    q_y = clamp(round(M acc + M_a (q_a - z_a)) + z_y)
    here       q_c = round(s_x s_w / s_c acc) + z_c
               q_y = clamp(round((s_c (q_c - z_c) + s_a (q_a - z_a)) / s_y) + z_y)

ONNX Runtime has no int8 convolution that adds before it rounds. The grid (s_c, z_c) covers what can
make a difference: beyond [y_low - a_high, y_high - a_low] the sum saturates whatever the addend is.
"""

import torch

from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import QParams, asymmetric
from zeropoint.graph.graph import Node
from zeropoint.program.program import Program


def intermediate_grid(program: Program, node: Node, bounds: tuple[int, int]) -> QParams:
    """The grid of the convolution's own result; `bounds` are those of the sum."""
    x, weight, _, addend = program.signature(node).inputs
    out = program.signature(node).output
    a_low, a_high = (end.to(torch.float64) for end in addend.real_range)
    y_low, y_high = ((bound - out.zero_point) * out.scale.to(torch.float64) for bound in bounds)
    step = x.scale.to(torch.float64) * weight.scale.to(torch.float64)
    sums = program.accumulator_range(node)
    low = torch.maximum(y_low - a_high, (sums.low * step).min())
    high = torch.minimum(y_high - a_low, (sums.high * step).max())
    return asymmetric(low, high, UINT8)
