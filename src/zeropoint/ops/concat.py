"""Concatenation.

    float     the operands, one after the other along `axis`
    integer   each operand moved to the grid of the result, equation (3) with M_i = s_i / s_y

An operand that is already on the result's grid is copied as it is; the plan ties operands where it
may.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Plain, Shape, Value
from zeropoint.ops.quantize import move


@dataclass(frozen=True)
class Concat(IntegerOp):
    """Operands of one rank whose sizes differ along `axis` only."""

    name: ClassVar[str] = "concat"
    grid: ClassVar[Grid] = Grid.OWN

    axis: int

    def roles(self, count: int) -> tuple[Role, ...]:
        """Activations."""
        return (Role.ACTIVATION,) * count

    def run(self, *parts: Tensor) -> Tensor:
        """The float form."""
        return torch.cat(parts, self.axis)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        moved = [
            move(q, params, signature.output, arithmetic)
            for q, params in zip(inputs, signature.inputs, strict=True)
        ]
        return torch.cat(moved, self.axis)


def concat(to: Builder, shape: Shape, parts: Sequence[Value], axis: int = 0) -> Value | str:
    """Capture of aten.cat."""
    if any(to.tensor(part) is not None for part in parts):
        return "one of its operands is a constant"
    if not all(isinstance(p.type, Plain) and p.type.dtype.is_floating_point for p in parts):
        return "it concatenates integers"
    return to.emit(Concat(axis % len(shape)), *parts, shape=shape)


OPS = (Concat,)
CAPTURES = {"aten.cat.default": concat}
