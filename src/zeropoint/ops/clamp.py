"""ReLU, ReLU6, hardtanh and clamp: all of them bounds.

    float     y = clamp(x, low, high)
    integer   q_y = clamp(q_x, round(low / s) + z, round(high / s) + z)     on the grid of x

Passes fuse it into the operator before it where they can; alone it moves nothing but the bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.accumulate import real_bounds


@dataclass(frozen=True)
class Clamp(IntegerOp):
    """x of any shape; None leaves a side open."""

    name: ClassVar[str] = "clamp"
    grid: ClassVar[Grid] = Grid.SHARED

    low: float | None = None
    high: float | None = None

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return x.relu() if (self.low, self.high) == (0.0, None) else x.clamp(self.low, self.high)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        return inputs[0].clamp(*real_bounds(self.low, self.high, signature.output))


def relu(to: Builder, shape: Shape, x: Value) -> Value:
    """Capture of ReLU."""
    return to.emit(Clamp(0.0), x, shape=shape)


def relu6(to: Builder, shape: Shape, x: Value) -> Value:
    """Capture of ReLU6."""
    return to.emit(Clamp(0.0, 6.0), x, shape=shape)


def hardtanh(to: Builder, shape: Shape, x: Value, low: float = -1.0, high: float = 1.0) -> Value:
    """Capture of hardtanh."""
    return to.emit(Clamp(float(low), float(high)), x, shape=shape)


def clamp(
    to: Builder, shape: Shape, x: Value, low: float | None = None, high: float | None = None
) -> Value | str:
    """Capture of clamp with numbers for bounds."""
    if isinstance(low, Value) or isinstance(high, Value):
        return "its bounds are tensors"
    bounds = (None if low is None else float(low), None if high is None else float(high))
    return to.emit(Clamp(*bounds), x, shape=shape)


def clamp_max(to: Builder, shape: Shape, x: Value, high: float) -> Value | str:
    """Capture of clamp with an upper bound only."""
    return clamp(to, shape, x, None, high)


OPS = (Clamp,)
CAPTURES = {
    "aten.relu.default": relu,
    "aten.relu6.default": relu6,
    "aten.hardtanh.default": hardtanh,
    "aten.clamp.default": clamp,
    "aten.clamp_min.default": clamp,
    "aten.clamp_max.default": clamp_max,
}
