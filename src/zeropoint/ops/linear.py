"""Linear layer with a clamp.

    float     y = clamp(x w^T + b, low, high)
    integer   q_y = clamp(round(M acc) + z_y)          M = s_x s_w / s_y

With an int32 output the accumulator itself is the result: that is how logits leave the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic.integer import INT32
from zeropoint.arithmetic.requantize import Arithmetic, Term
from zeropoint.arithmetic.requantize import Grid as Result
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.accumulate import accumulated, clamp_real, real_bounds


@dataclass(frozen=True)
class Linear(IntegerOp):
    """x (..., I), weight (O, I), bias (O,)."""

    name: ClassVar[str] = "linear"
    grid: ClassVar[Grid] = Grid.OWN

    low: float | None = None
    high: float | None = None

    def roles(self, count: int) -> tuple[Role, ...]:
        """x, weight, bias."""
        return (Role.ACTIVATION, Role.WEIGHT, Role.BIAS)[:count]

    def run(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The float form."""
        return clamp_real(F.linear(x, weight, bias), self.low, self.high)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        accumulator = self.accumulate(inputs, signature)
        out = signature.output
        if out.type == INT32:
            return accumulator
        x, weight, _ = signature.inputs
        product = x.scale.to(torch.float64) * weight.scale.to(torch.float64) / out.scale
        grid = Result(int(out.zero_point.item()), *real_bounds(self.low, self.high, out))
        return arithmetic.requantize([Term(accumulator, product)], grid).to(out.type.storage)

    def accumulate(self, inputs: Sequence[Tensor], signature: Signature) -> Tensor:
        """Equation (2): int32, bias included."""
        return accumulated(F.linear, inputs, signature)


def linear(
    to: Builder, shape: Shape, x: Value, weight: Value, bias: Value | None = None
) -> Value | str:
    """Capture of aten.linear."""
    if to.tensor(weight) is None:
        return "its weight is computed at run time"
    if bias is None:
        bias = to.constant(f"{weight.name}.zero_bias", torch.zeros(int(weight.shape[0])))
    return to.emit(Linear(), x, weight, bias, shape=shape)


OPS = (Linear,)
CAPTURES = {"aten.linear.default": linear}
