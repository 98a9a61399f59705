"""A convolution with an addend or a function, where the integers have to be rounded twice.

    program    q_y = clamp(round(f(s_x s_w acc + s_a (q_a - z_a)) / s_y) + z_y)
    here       q_c = round(s_x s_w / s_c acc) + z_c
               q_y = clamp(round(f(s_c (q_c - z_c) + s_a (q_a - z_a)) / s_y) + z_y)

ONNX Runtime has no int8 convolution that adds, or applies a function, before it rounds. The grid
(s_c, z_c) covers what can make a difference: beyond [low - a_high, high - a_low] the result is the
same whatever the addend is. There `low` and `high` are the ends of y, or where f has settled.
"""

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.lookup import staircase
from zeropoint.arithmetic.qparams import QParams, asymmetric
from zeropoint.graph.graph import Node
from zeropoint.ops.conv import Convolution
from zeropoint.ops.functions import evaluate
from zeropoint.program.program import Program


def intermediate_grid(program: Program, node: Node, bounds: tuple[int, int]) -> QParams:
    """The grid of the convolution's own result; `bounds` are those of the sum."""
    x, weight, _, *addend = program.signature(node).inputs
    a_low, a_high = torch.zeros(2, dtype=torch.float64)
    for params in addend:
        a_low, a_high = (end.to(torch.float64) for end in params.real_range)
    y_low, y_high = _settled(program, node, bounds)
    step = x.scale.to(torch.float64) * weight.scale.to(torch.float64)
    sums = program.accumulator_range(node)
    low = torch.maximum(y_low - a_high, (sums.low * step).min())
    high = torch.minimum(y_high - a_low, (sums.high * step).max())
    return asymmetric(low, high, UINT8)


def _settled(program: Program, node: Node, bounds: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The sums beyond which the result does not change."""
    assert isinstance(node.op, Convolution)  # callers pass convolutions
    out, function = program.signature(node).output, node.op.function
    if function:
        stairs = staircase(lambda real: evaluate(function, real), out)
        changes = torch.cat([stairs.thresholds, torch.zeros(1)]) * stairs.unit
        return changes.min(), changes.max()
    low, high = ((bound - out.zero_point) * out.scale.to(torch.float64) for bound in bounds)
    return low, high
