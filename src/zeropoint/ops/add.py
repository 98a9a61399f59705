"""Elementwise addition with a clamp.

    float     y = clamp(a + b, low, high)
    integer   q_y = clamp(round(M_a (q_a - z_a) + M_b (q_b - z_b)) + z_y)       M_i = s_i / s_y

The sum is rounded once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic, Term
from zeropoint.arithmetic.requantize import Grid as Result
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Plain, Shape, Value
from zeropoint.ops.accumulate import clamp_real, real_bounds


@dataclass(frozen=True)
class Add(IntegerOp):
    """a and b of shapes that broadcast."""

    name: ClassVar[str] = "add"
    grid: ClassVar[Grid] = Grid.OWN

    low: float | None = None
    high: float | None = None

    def roles(self, count: int) -> tuple[Role, ...]:
        """Two activations."""
        return (Role.ACTIVATION, Role.ACTIVATION)

    def run(self, a: Tensor, b: Tensor) -> Tensor:
        """The float form."""
        return clamp_real(a + b, self.low, self.high)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        out = signature.output
        terms = [
            Term(q.to(torch.int32) - p.zero_point, p.scale.to(torch.float64) / out.scale)
            for q, p in zip(inputs, signature.inputs, strict=True)
        ]
        grid = Result(int(out.zero_point.item()), *real_bounds(self.low, self.high, out))
        return arithmetic.requantize(terms, grid).to(out.type.storage)


def add(to: Builder, shape: Shape, a: Value, b: Value | float, alpha: float = 1) -> Value | str:
    """Capture of the addition of two computed tensors."""
    if not isinstance(b, Value) or to.tensor(a) is not None or to.tensor(b) is not None:
        return "adding a constant has no integer form yet"
    if alpha != 1:
        return f"adding with alpha={alpha} has no integer form yet"
    if not all(isinstance(v.type, Plain) and v.type.dtype.is_floating_point for v in (a, b)):
        return "it adds integers"
    return to.emit(Add(), a, b, shape=shape)


OPS = (Add,)
CAPTURES = {"aten.add.Tensor": add}
