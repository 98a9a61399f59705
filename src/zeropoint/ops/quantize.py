"""The fences between real numbers and integers, and the step from one grid to another.

    quantize     q = clamp(round(r / s) + z)                 equation (1)
    dequantize   r = s (q - z)
    requantize   q_y = clamp(round(M (q_x - z_x)) + z_y)     equation (3) with M = s_x / s_y

The grids are the types of the node's values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.arithmetic.requantize import Arithmetic, Term
from zeropoint.arithmetic.requantize import Grid as Result
from zeropoint.graph.op import Grid, IntegerOp, Op, Role, Signature


@dataclass(frozen=True)
class Quantize(Op):
    """Real numbers to integers; in a float graph it does nothing."""

    name: ClassVar[str] = "quantize"

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return x


@dataclass(frozen=True)
class Dequantize(Op):
    """Integers to real numbers; in a float graph it does nothing."""

    name: ClassVar[str] = "dequantize"

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return x


@dataclass(frozen=True)
class Requantize(IntegerOp):
    """Integers to integers on another grid; in a float graph it does nothing."""

    name: ClassVar[str] = "requantize"
    grid: ClassVar[Grid] = Grid.OWN

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return x

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        return move(inputs[0], signature.inputs[0], signature.output, arithmetic)


def move(q: Tensor, old: QParams, new: QParams, arithmetic: Arithmetic) -> Tensor:
    """The same real numbers on another grid; nothing happens if the grids are equal."""
    if old == new:
        return q
    multiplier = old.scale.to(torch.float64) / new.scale
    grid = Result(int(new.zero_point.item()), new.low, new.high)
    term = Term(q.to(torch.int32) - old.zero_point, multiplier)
    return arithmetic.requantize([term], grid).to(new.type.storage)


OPS = (Quantize, Dequantize, Requantize)
CAPTURES: dict[str, object] = {}
