"""Linear layer with a function and a clamp.

    float     y = clamp(f(x w^T + b), low, high)
    integer   q_y = clamp(round(M acc) + z_y)          M = s_x s_w / s_y
    with f    q_y = clamp(round(f(s_x s_w acc) / s_y) + z_y)          (5)

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
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.accumulate import accumulated
from zeropoint.ops.epilogue import finished, finished_real
from zeropoint.ops.functions import Steps


@dataclass(frozen=True)
class Linear(IntegerOp):
    """x (..., I), weight (O, I), bias (O,)."""

    name: ClassVar[str] = "linear"
    grid: ClassVar[Grid] = Grid.OWN

    low: float | None = None
    high: float | None = None
    function: Steps = ()

    def roles(self, count: int) -> tuple[Role, ...]:
        """x, weight, bias."""
        return (Role.ACTIVATION, Role.WEIGHT, Role.BIAS)[:count]

    def run(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The float form."""
        return finished_real(F.linear(x, weight, bias), self.function, (self.low, self.high))

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        accumulator = self.accumulate(inputs, signature)
        out = signature.output
        if out.type == INT32:
            return accumulator
        x, weight, _ = signature.inputs
        terms = [Term(accumulator, x.scale.to(torch.float64) * weight.scale.to(torch.float64))]
        return finished(terms, self.function, (self.low, self.high), out, arithmetic)

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
CAPTURES: dict[str, object] = {}  # matmul.py has it: a computed weight makes it another operator
