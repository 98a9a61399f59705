"""Padding.

    constant    float     `value` around x
                integer   its code around q_x: z_x for zero, an end of the grid for an infinity
    reflect, replicate, circular
                float and integer alike: elements of x around x

On the grid of x, where zero and both infinities have a code. Any other number need not be on it:
padding with one has a grid of its own, to which `PadWith` moves q_x before it puts the code around.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.movement import Numbers, put_in, taken_out
from zeropoint.ops.quantize import move

CONSTANT = "constant"
MODES = (CONSTANT, "reflect", "replicate", "circular")


@dataclass(frozen=True)
class Pad(IntegerOp):
    """`amounts` before and after each dimension, the last dimension first, as in F.pad.

    A size follows x for each None among the amounts; a negative amount crops. A constant `value` is
    zero or infinite.
    """

    name: ClassVar[str] = "pad"
    grid: ClassVar[Grid] = Grid.SHARED

    amounts: Numbers
    mode: str = CONSTANT
    value: float = 0.0

    def roles(self, count: int) -> tuple[Role, ...]:
        """An activation, then sizes."""
        return (Role.ACTIVATION, *[Role.SIZE] * (count - 1))

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return self._padded(x, sizes, self.value)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        x, *sizes = inputs
        return self._padded(x, [int(size) for size in sizes], self.code(signature))

    def code(self, signature: Signature) -> int:
        """What stands for `value` on the grid."""
        code, _ = real_bounds(self.value, None, signature.inputs[0])
        return code

    def _padded(self, x: Tensor, sizes: Sequence[int], value: float) -> Tensor:
        amounts = put_in(self.amounts, sizes)
        if self.mode == CONSTANT:
            return F.pad(x, amounts, value=value)
        return F.pad(x, amounts, mode=self.mode)


@dataclass(frozen=True)
class PadWith(IntegerOp):
    """`amounts` of a finite `value` around x, on a grid of its own."""

    name: ClassVar[str] = "pad_with"
    grid: ClassVar[Grid] = Grid.OWN

    amounts: Numbers
    value: float

    def roles(self, count: int) -> tuple[Role, ...]:
        """An activation, then sizes."""
        return (Role.ACTIVATION, *[Role.SIZE] * (count - 1))

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return F.pad(x, put_in(self.amounts, sizes), value=self.value)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        x, *sizes = inputs
        moved = move(x, signature.inputs[0], signature.output, arithmetic)
        amounts = put_in(self.amounts, [int(size) for size in sizes])
        return F.pad(moved, amounts, value=self.code(signature))

    def code(self, signature: Signature) -> int:
        """What stands for `value` on the grid of the result."""
        code, _ = real_bounds(self.value, None, signature.output)
        return code


def pad(
    to: Builder,
    shape: Shape,
    x: Value,
    amounts: Sequence[int | Value],
    mode: str = CONSTANT,
    value: float | None = None,
) -> Value | str:
    """Capture of aten.pad; x itself where nothing is added."""
    if mode not in MODES:
        return f"padding by {mode!r} has no integer form"
    if not any(isinstance(amount, Value) or amount for amount in amounts):
        return x
    numbers, sizes = taken_out(amounts)
    fill = float(value or 0.0)
    if mode != CONSTANT:
        return to.emit(Pad(numbers, mode), x, *sizes, shape=shape)
    if math.isnan(fill):
        return "padding with nan has no integer form"
    shared = fill == 0.0 or math.isinf(fill)
    op = Pad(numbers, value=fill) if shared else PadWith(numbers, fill)
    return to.emit(op, x, *sizes, shape=shape)


def constant_pad(
    to: Builder, shape: Shape, x: Value, amounts: Sequence[int | Value], value: float = 0.0
) -> Value | str:
    """Capture of aten.constant_pad_nd."""
    return pad(to, shape, x, amounts, CONSTANT, value)


def mode_pad(mode: str) -> Callable[..., Value | str]:
    """Capture of a padding that has an operator of its own."""

    def rule(to: Builder, shape: Shape, x: Value, amounts: Sequence[int | Value]) -> Value | str:
        return pad(to, shape, x, amounts, mode)

    return rule


OPS = (Pad, PadWith)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.pad.default": pad,
    "aten.constant_pad_nd.default": constant_pad,
    **{
        f"aten.{kind}_pad{rank}d.default": mode_pad(mode)
        for kind, mode in (("reflection", "reflect"), ("replication", "replicate"))
        for rank in (1, 2, 3)
    },
}
