"""Elementwise multiplication with a clamp, and division by constants.

    float     y = clamp(a b, low, high)
    integer   q_y = clamp(round(M (q_a - z_a)(q_b - z_b)) + z_y)        M = s_a s_b / s_y

The product of two differences of codes is exact, and rounded once. Shapes broadcast: a gate
(N, C, 1, 1) on an image, as in squeeze-and-excitation, is such a product.
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
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.accumulate import clamp_real, real_bounds
from zeropoint.ops.table import number_of, tabulated, why_no_pair


@dataclass(frozen=True)
class Mul(IntegerOp):
    """a and b of shapes that broadcast."""

    name: ClassVar[str] = "mul"
    grid: ClassVar[Grid] = Grid.OWN

    low: float | None = None
    high: float | None = None

    def roles(self, count: int) -> tuple[Role, ...]:
        """Two activations; one of them may be a constant."""
        return (Role.ACTIVATION, Role.ACTIVATION)

    def run(self, a: Tensor, b: Tensor) -> Tensor:
        """The float form."""
        return clamp_real(a * b, self.low, self.high)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        (a, b), (on_a, on_b), out = inputs, signature.inputs, signature.output
        product = (a.to(torch.int32) - on_a.zero_point) * (b.to(torch.int32) - on_b.zero_point)
        scale = on_a.scale.to(torch.float64) * on_b.scale.to(torch.float64)
        grid = Result(int(out.zero_point.item()), *real_bounds(self.low, self.high, out))
        return arithmetic.requantize([Term(product, scale / out.scale)], grid).to(out.type.storage)


def mul(to: Builder, shape: Shape, a: Value, b: Value | float) -> Value | str:
    """Capture of the product of two tensors, or of a tensor and a number."""
    for x, other in ((a, b), (b, a)):
        number = number_of(to, other)
        if number is not None and isinstance(x, Value):
            return tabulated(to, shape, x, ("mul", "x", number))
    assert isinstance(b, Value)  # numbers are dealt with
    return why_no_pair(a, b) or to.emit(Mul(), a, b, shape=shape)


def div(to: Builder, shape: Shape, a: Value, b: Value | float) -> Value | str:
    """Capture of the division by a number or by a constant tensor, or of a number by a tensor."""
    divisor, dividend = number_of(to, b), number_of(to, a)
    if divisor is not None:
        return tabulated(to, shape, a, ("div", "x", divisor))
    if dividend is not None and isinstance(b, Value):
        return tabulated(to, shape, b, ("div", dividend, "x"))
    tensor = to.tensor(b) if isinstance(b, Value) else None
    if tensor is None or not isinstance(b, Value):
        return "dividing by a computed tensor has no integer form"
    return mul(to, shape, a, to.constant(f"{b.name}.reciprocal", 1 / tensor))


OPS = (Mul,)
CAPTURES = {"aten.mul.Tensor": mul, "aten.div.Tensor": div}
