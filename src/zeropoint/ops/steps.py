"""How far the operands of an integer operator may be beyond the grid of its result.

    M = s_a / s_y, or s_a s_b / s_y        |M (q_a - z_a)| <= 2^20

Engines round what they scale to 32-bit integers, or compute it in float32: with more steps than
that they do not agree any more. A table is looked up, however far its argument is from its result.
"""

from collections.abc import Sequence

import torch

from zeropoint.arithmetic.qparams import QParams
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.mul import Mul
from zeropoint.ops.table import Table

MOST_STEPS = 2.0**22
"""An operand, or one product of two, has at most so many steps of the result."""


def farthest(params: QParams) -> int:
    """The largest |q - z|."""
    least, most = torch.aminmax(params.zero_point)
    return max(params.high - int(least), int(most) - params.low)


def largest_operand(op: IntegerOp, roles: Sequence[Role], grids: Sequence[QParams | None]) -> float:
    """The largest real number that is scaled to the grid of the result.

    0 for a table, and for a layer with a function: neither scales its operands to that grid. Each
    operand has a role and a grid; a size has none.
    """
    if isinstance(op, Table) or (isinstance(op, Convolution | Linear) and op.function):
        return 0.0
    reals = [
        farthest(params) * params.scale.double().max().item()
        for role, params in zip(roles, grids, strict=True)
        if params is not None and role in (Role.ACTIVATION, Role.WEIGHT)
    ]
    multiplied = Role.WEIGHT in roles or isinstance(op, Mul | MatMul)
    return max([reals[0] * reals[1], *reals[2:]] if multiplied else reals)
