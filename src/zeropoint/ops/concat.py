"""Concatenation, and stacking: a concatenation along a new dimension.

    float     the operands, one after the other along `axis`
    integer   each operand moved to the grid of the result, equation (3) with M_i = s_i / s_y

An operand that is already on the result's grid is copied as it is; the plan ties operands where it
may.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Plain, Shape, Value
from zeropoint.ops.quantize import move
from zeropoint.ops.shape import unsqueeze


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
    """Capture of aten.cat; a single operand is itself."""
    if not all(isinstance(p.type, Plain) and p.type.dtype.is_floating_point for p in parts):
        return "it concatenates integers"
    if len(parts) == 1:
        return parts[0]
    return to.emit(Concat(axis % len(shape)), *parts, shape=shape)


def stack(to: Builder, shape: Shape, parts: Sequence[Value], axis: int = 0) -> Value | str:
    """Capture of aten.stack."""
    axis %= len(shape)
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    return concat(to, shape, [unsqueeze(to, one, part, axis) for part in parts], axis)


def horizontal_stack(to: Builder, shape: Shape, parts: Sequence[Value]) -> Value | str:
    """Capture of aten.hstack: along dimension 1, or 0 where there is no other."""
    if any(len(part.shape) == 0 for part in parts):
        return "it stacks numbers"
    return concat(to, shape, parts, 1 if len(shape) > 1 else 0)


def vertical_stack(to: Builder, shape: Shape, parts: Sequence[Value]) -> Value | str:
    """Capture of aten.vstack."""
    if any(len(part.shape) < 2 for part in parts):
        return "it stacks vectors"
    return concat(to, shape, parts, 0)


OPS = (Concat,)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.cat.default": concat,
    "aten.concat.default": concat,
    "aten.concatenate.default": concat,
    "aten.stack.default": stack,
    "aten.hstack.default": horizontal_stack,
    "aten.vstack.default": vertical_stack,
}
