"""The greater and the lesser of two values.

    float     y = max(a, b)
    integer   q_y = max(q_a on the grid of y, q_b on the grid of y), each moved there by (3)

Rounding keeps the order, so that is the greatest real number rounded once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.quantize import move
from zeropoint.ops.table import number_of, why_no_pair


@dataclass(frozen=True)
class Maximum(IntegerOp):
    """a and b of shapes that broadcast."""

    name: ClassVar[str] = "maximum"
    grid: ClassVar[Grid] = Grid.OWN

    def roles(self, count: int) -> tuple[Role, ...]:
        """Two activations; one of them may be a constant."""
        return (Role.ACTIVATION, Role.ACTIVATION)

    def run(self, a: Tensor, b: Tensor) -> Tensor:
        """The float form."""
        return torch.maximum(a, b)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        return torch.maximum(*_moved(inputs, signature, arithmetic))


@dataclass(frozen=True)
class Minimum(IntegerOp):
    """a and b of shapes that broadcast."""

    name: ClassVar[str] = "minimum"
    grid: ClassVar[Grid] = Grid.OWN

    def roles(self, count: int) -> tuple[Role, ...]:
        """Two activations; one of them may be a constant."""
        return (Role.ACTIVATION, Role.ACTIVATION)

    def run(self, a: Tensor, b: Tensor) -> Tensor:
        """The float form."""
        return torch.minimum(a, b)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        return torch.minimum(*_moved(inputs, signature, arithmetic))


def _moved(
    inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
) -> tuple[Tensor, Tensor]:
    a, b = (
        move(q, params, signature.output, arithmetic)
        for q, params in zip(inputs, signature.inputs, strict=True)
    )
    return a, b


def maximum(to: Builder, shape: Shape, a: Value, b: Value) -> Value | str:
    """Capture of the greater of two tensors; of a tensor and a number it is a clamp."""
    return _extreme(to, shape, a, b, Maximum(), lambda number: Clamp(low=number))


def minimum(to: Builder, shape: Shape, a: Value, b: Value) -> Value | str:
    """Capture of the lesser of two tensors; of a tensor and a number it is a clamp."""
    return _extreme(to, shape, a, b, Minimum(), lambda number: Clamp(high=number))


def _extreme(
    to: Builder,
    shape: Shape,
    a: Value,
    b: Value,
    op: Maximum | Minimum,
    clamp: Callable[[float], Clamp],
) -> Value | str:
    refusal = why_no_pair(a, b)
    if refusal is not None:
        return refusal
    for x, other in ((a, b), (b, a)):
        number = number_of(to, other)
        if number is not None and len(x.shape) == len(shape):
            return to.emit(clamp(number), x, shape=shape)
    return to.emit(op, a, b, shape=shape)


OPS = (Maximum, Minimum)
CAPTURES = {
    "aten.fmax.default": maximum,  # they differ where an operand is no number
    "aten.fmin.default": minimum,
    "aten.maximum.default": maximum,
    "aten.max.other": maximum,
    "aten.minimum.default": minimum,
    "aten.min.other": minimum,
}
