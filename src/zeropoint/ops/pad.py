"""Padding with real zeros.

    float     zeros around x
    integer   z_x around q_x: the zero point stands for exactly 0

The grid is that of x.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Shape, Value


@dataclass(frozen=True)
class Pad(IntegerOp):
    """`amounts` before and after each dimension, the last dimension first, as in F.pad."""

    name: ClassVar[str] = "pad"
    grid: ClassVar[Grid] = Grid.SHARED

    amounts: tuple[int, ...]

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return F.pad(x, self.amounts)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        return F.pad(inputs[0], self.amounts, value=int(signature.inputs[0].zero_point.item()))


def pad(
    to: Builder,
    shape: Shape,
    x: Value,
    amounts: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Value | str:
    """Capture of aten.pad."""
    if mode != "constant":
        return f"padding by {mode!r} has no integer form yet"
    return constant_pad(to, shape, x, amounts, value or 0.0)


def constant_pad(
    to: Builder, shape: Shape, x: Value, amounts: Sequence[int], value: float = 0.0
) -> Value | str:
    """Capture of aten.constant_pad_nd."""
    if value != 0.0:
        return f"padding with {value} has no integer form; zero has"
    if not all(isinstance(amount, int) for amount in amounts):
        return "its amounts are computed at run time"
    return to.emit(Pad(tuple(amounts)), x, shape=shape)


OPS = (Pad,)
CAPTURES = {"aten.pad.default": pad, "aten.constant_pad_nd.default": constant_pad}
