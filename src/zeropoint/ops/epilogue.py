"""What follows an accumulator: a function or none, bounds, and one rounding.

(3)  q_y = clamp(round(sum_i M_i a_i) + z_y, low, high)                 M_i = s_i / s_y
(5)  q_y = clamp(round(f(sum_i s_i a_i) / s_y) + z_y, low, high)
"""

from collections.abc import Sequence

from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.arithmetic.requantize import Arithmetic, Grid, Term
from zeropoint.ops.accumulate import clamp_real, real_bounds
from zeropoint.ops.functions import Steps, evaluate

Bounds = tuple[float | None, float | None]


def finished_real(real: Tensor, function: Steps, bounds: Bounds) -> Tensor:
    """The float form; without a function in place."""
    return clamp_real(evaluate(function, real) if function else real, *bounds)


def finished(
    terms: Sequence[Term], function: Steps, bounds: Bounds, out: QParams, arithmetic: Arithmetic
) -> Tensor:
    """The integer form, in the storage type of `out`; the multiplier of a term is its scale."""
    low, high = real_bounds(*bounds, out)
    if function:
        q = arithmetic.apply(lambda real: evaluate(function, real), terms, out)
        return q.clamp(low, high)
    onto = [Term(term.accumulator, term.multiplier / out.scale) for term in terms]
    grid = Grid(int(out.zero_point.item()), low, high)
    return arithmetic.requantize(onto, grid).to(out.type.storage)
