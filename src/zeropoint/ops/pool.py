"""Pooling over windows.

    max       float and integer alike: the greatest element; the grid is that of x
    average   integer   q_y = clamp(round(M sum (q_x - z_x)) + z_y)      M = s_x / (n s_y)

n is what torch divides by at that position: the window's size, or with count_include_pad=False
only its elements inside the image. The quotient is rounded once, on a grid of its own: an average
is narrower than its input, so it deserves a finer scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic, Term
from zeropoint.arithmetic.requantize import Grid as Result
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Plain, Shape, Value
from zeropoint.ops.accumulate import as_int32, centred

Pair = tuple[int, int]


@dataclass(frozen=True)
class MaxPool2d(IntegerOp):
    """x (N, C, H, W)."""

    name: ClassVar[str] = "max_pool2d"
    grid: ClassVar[Grid] = Grid.SHARED

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil_mode: bool = False

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form; padding never wins."""
        return F.max_pool2d(
            x, self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode
        )

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form: float32 holds 8-bit integers exactly, and torch pools no wide uint8.

        A window that sees nothing but padding (-inf in float) yields the grid's lowest code.
        """
        greatest = self.run(inputs[0].to(torch.float32))
        return greatest.clamp_(min=signature.output.low).to(inputs[0].dtype)


@dataclass(frozen=True)
class AveragePool2d(IntegerOp):
    """x (N, C, H, W)."""

    name: ClassVar[str] = "average_pool2d"
    grid: ClassVar[Grid] = Grid.OWN

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    ceil_mode: bool = False
    count_include_pad: bool = True

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return self._pool(x, self.count_include_pad, None)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        total = self.sums(centred(inputs[0], signature.inputs[0]))
        return average(total, self.divisors(inputs[0].shape[-2:]), signature, arithmetic)

    def sums(self, exact: Tensor) -> Tensor:
        """The sum of every window; padding adds zero."""
        return self._pool(exact, True, 1)

    def divisors(self, size: Sequence[int]) -> Tensor:
        """What torch divides each window's sum by (1, 1, H', W'): found by averaging ones."""
        ones = torch.ones(1, 1, *size, dtype=torch.float64)
        return torch.round(self.sums(ones) / self.run(ones))

    def _pool(self, x: Tensor, include_pad: bool, divisor: int | None) -> Tensor:
        return F.avg_pool2d(
            x, self.kernel, self.stride, self.padding, self.ceil_mode, include_pad, divisor
        )


@dataclass(frozen=True)
class AdaptiveAveragePool2d(IntegerOp):
    """x (N, C, H, W) to (N, C, *size), windows chosen by torch; None keeps a dimension."""

    name: ClassVar[str] = "adaptive_average_pool2d"
    grid: ClassVar[Grid] = Grid.OWN

    size: tuple[int | None, int | None]

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return F.adaptive_avg_pool2d(x, self.size)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form: the mean in float64, multiplied back, is the exact sum."""
        divisors = self.divisors(inputs[0].shape[-2:])
        total = torch.round(self.run(centred(inputs[0], signature.inputs[0])) * divisors)
        return average(total, divisors, signature, arithmetic)

    def divisors(self, size: Sequence[int]) -> Tensor:
        """How many elements each window holds (1, 1, H', W')."""
        counts = [
            _window_lengths(length, wanted or length)
            for length, wanted in zip(size, self.size, strict=True)
        ]
        return (counts[0][:, None] * counts[1][None, :])[None, None].to(torch.float64)


@dataclass(frozen=True)
class GlobalAveragePool(IntegerOp):
    """x (N, C, H, W) to (N, C, 1, 1), or to (N, C) without `keep`."""

    name: ClassVar[str] = "global_average_pool"
    grid: ClassVar[Grid] = Grid.OWN

    keep: bool = True

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return x.mean((2, 3), keepdim=self.keep)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        total = centred(inputs[0], signature.inputs[0]).sum((2, 3), keepdim=self.keep)
        count = torch.tensor(inputs[0].shape[2] * inputs[0].shape[3], dtype=torch.float64)
        return average(total, count, signature, arithmetic)


def average(
    total: Tensor, divisors: Tensor, signature: Signature, arithmetic: Arithmetic
) -> Tensor:
    """Sums (exact float64) divided and moved to the grid of the output."""
    out = signature.output
    multiplier = signature.inputs[0].scale.to(torch.float64) / (divisors * out.scale)
    grid = Result(int(out.zero_point.item()), out.low, out.high)
    return arithmetic.requantize([Term(as_int32(total), multiplier)], grid).to(out.type.storage)


def _window_lengths(length: int, windows: int) -> Tensor:
    index = torch.arange(windows)
    start = (index * length) // windows
    end = -((-(index + 1) * length) // windows)
    return end - start


def max_pool2d(
    to: Builder,
    shape: Shape,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> Value | str:
    """Capture of aten.max_pool2d."""
    if len(x.shape) != 4:
        return "its input has no batch dimension"
    window = _pair(kernel)
    steps = _pair(stride) if stride else window
    op = MaxPool2d(window, steps, _pair(padding), _pair(dilation), ceil_mode)
    return to.emit(op, x, shape=shape)


def avg_pool2d(
    to: Builder,
    shape: Shape,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value | str:
    """Capture of aten.avg_pool2d."""
    if len(x.shape) != 4:
        return "its input has no batch dimension"
    if divisor_override is not None:
        return f"divisor_override={divisor_override} has no integer form yet"
    window = _pair(kernel)
    steps = _pair(stride) if stride else window
    op = AveragePool2d(window, steps, _pair(padding), ceil_mode, count_include_pad)
    return to.emit(op, x, shape=shape)


def adaptive_avg_pool2d(to: Builder, shape: Shape, x: Value, size: Sequence[int]) -> Value | str:
    """Capture of aten.adaptive_avg_pool2d."""
    if len(x.shape) != 4:
        return "its input has no batch dimension"
    if not all(wanted is None or isinstance(wanted, int) for wanted in size):
        return "its output size is computed at run time"
    height, width = size
    if (height, width) == (1, 1):
        return to.emit(GlobalAveragePool(), x, shape=shape)
    return to.emit(AdaptiveAveragePool2d((height, width)), x, shape=shape)


def mean(
    to: Builder,
    shape: Shape,
    x: Value,
    axes: Sequence[int] | None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Value | str:
    """Capture of aten.mean over both spatial dimensions."""
    rank = len(x.shape)
    if axes is None or rank != 4 or sorted(axis % rank for axis in axes) != [2, 3]:
        return "a mean over other dimensions than height and width has no integer form yet"
    if not (isinstance(x.type, Plain) and x.type.dtype.is_floating_point):
        return "it averages integers"
    return to.emit(GlobalAveragePool(keepdim), x, shape=shape)


def _pair(values: Sequence[int]) -> Pair:
    first, *rest = values
    return first, (rest[0] if rest else first)


OPS = (MaxPool2d, AveragePool2d, AdaptiveAveragePool2d, GlobalAveragePool)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.max_pool2d.default": max_pool2d,
    "aten.avg_pool2d.default": avg_pool2d,
    "aten.adaptive_avg_pool2d.default": adaptive_avg_pool2d,
    "aten._adaptive_avg_pool2d.default": adaptive_avg_pool2d,
    "aten.mean.dim": mean,
}
