"""Elementwise addition and subtraction with a clamp.

    float     y = clamp(a + alpha b, low, high)
    integer   q_y = clamp(round(M_a (q_a - z_a) + M_b (q_b - z_b)) + z_y)
              M_a = s_a / s_y        M_b = alpha s_b / s_y

The sum is rounded once. A difference is a sum with alpha = -1.
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
from zeropoint.ops.functions import Step, place
from zeropoint.ops.mul import mul
from zeropoint.ops.table import number_of, tabulated, why_no_pair


@dataclass(frozen=True)
class Add(IntegerOp):
    """a and b of shapes that broadcast."""

    name: ClassVar[str] = "add"
    grid: ClassVar[Grid] = Grid.OWN

    low: float | None = None
    high: float | None = None
    alpha: float = 1.0

    def roles(self, count: int) -> tuple[Role, ...]:
        """Two activations; one of them may be a constant."""
        return (Role.ACTIVATION, Role.ACTIVATION)

    def run(self, a: Tensor, b: Tensor) -> Tensor:
        """The float form."""
        return clamp_real(torch.add(a, b, alpha=self.alpha), self.low, self.high)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        out = signature.output
        terms = [
            _term(q, params.zero_point, factor * params.scale.to(torch.float64) / out.scale)
            for q, params, factor in zip(inputs, signature.inputs, (1.0, self.alpha), strict=True)
        ]
        grid = Result(int(out.zero_point.item()), *real_bounds(self.low, self.high, out))
        return arithmetic.requantize(terms, grid).to(out.type.storage)


def _term(q: Tensor, zero_point: Tensor, multiplier: Tensor) -> Term:
    """The sign goes to the integers: multipliers are positive in fixed point."""
    steps = q.to(torch.int32) - zero_point
    return Term(-steps if bool(multiplier < 0) else steps, multiplier.abs())


def add(to: Builder, shape: Shape, a: Value, b: Value | float, alpha: float = 1) -> Value | str:
    """Capture of a + alpha b, of two tensors or a tensor and a number."""
    number, other = number_of(to, b), number_of(to, a)
    if number is not None:
        return tabulated(to, shape, a, ("add", "x", number * alpha))
    if other is not None and isinstance(b, Value):
        return tabulated(to, shape, b, *_times(alpha), ("add", place(int(alpha != 1)), other))
    assert isinstance(b, Value)  # numbers are dealt with
    return why_no_pair(a, b) or to.emit(Add(alpha=float(alpha)), a, b, shape=shape)


def sub(to: Builder, shape: Shape, a: Value, b: Value | float, alpha: float = 1) -> Value | str:
    """Capture of a - alpha b."""
    return add(to, shape, a, b, -alpha)


def rsub(to: Builder, shape: Shape, a: Value, b: Value | float, alpha: float = 1) -> Value | str:
    """Capture of b - alpha a."""
    number = number_of(to, b)
    if number is not None:
        return tabulated(to, shape, a, *_times(alpha), ("sub", number, place(int(alpha != 1))))
    assert isinstance(b, Value)  # numbers are dealt with
    return add(to, shape, b, a, -alpha)


def addcmul(
    to: Builder, shape: Shape, x: Value, a: Value, b: Value, value: float = 1
) -> Value | str:
    """Capture of x + value a b, for a product that is as large as one of its factors."""
    larger = next((v for v in (a, b) if v.shape == shape), None)
    if larger is None:
        return "the product in it is larger than its factors"
    product = mul(to, shape, a, b)
    return product if isinstance(product, str) else add(to, shape, x, product, value)


def _times(alpha: float) -> tuple[Step, ...]:
    return () if alpha == 1 else (("mul", "x", float(alpha)),)


OPS = (Add,)
CAPTURES = {
    "aten.add.Tensor": add,
    "aten.addcmul.default": addcmul,
    "aten.sub.Tensor": sub,
    "aten.rsub.Scalar": rsub,
    "aten.rsub.Tensor": rsub,
}
