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

from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.accumulate import centred
from zeropoint.ops.reduce import Amax, Mean, average, axes_of, why_not_reduced

Sizes = tuple[int, ...]
"""A number for each spatial dimension."""

Adaptive = tuple[Callable[..., Tensor], ...]
AVERAGES: Adaptive = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
MAXIMA: Adaptive = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)


@dataclass(frozen=True)
class MaxPool(IntegerOp):
    """x (N, C, ...)."""

    grid: ClassVar[Grid] = Grid.SHARED

    kernel: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes
    ceil_mode: bool = False

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form; padding never wins."""
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(self.kernel) - 1]
        window = (self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)
        y: Tensor = pool(x, *window)
        return y

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form: float32 holds 8-bit integers exactly, and torch pools no wide uint8.

        A window that sees nothing but padding (-inf in float) yields the grid's lowest code.
        """
        greatest = self.run(inputs[0].to(torch.float32))
        return greatest.clamp_(min=signature.output.low).to(inputs[0].dtype)


@dataclass(frozen=True)
class MaxPool1d(MaxPool):
    """x (N, C, L)."""

    name: ClassVar[str] = "max_pool1d"

    padding: Sizes = (0,)
    dilation: Sizes = (1,)


@dataclass(frozen=True)
class MaxPool2d(MaxPool):
    """x (N, C, H, W)."""

    name: ClassVar[str] = "max_pool2d"

    padding: Sizes = (0, 0)
    dilation: Sizes = (1, 1)


@dataclass(frozen=True)
class MaxPool3d(MaxPool):
    """x (N, C, D, H, W)."""

    name: ClassVar[str] = "max_pool3d"

    padding: Sizes = (0, 0, 0)
    dilation: Sizes = (1, 1, 1)


@dataclass(frozen=True)
class AdaptiveMaxPool(IntegerOp):
    """x (N, C, ...) to (N, C, *size), windows chosen by torch; None keeps a dimension."""

    name: ClassVar[str] = "adaptive_max_pool"
    grid: ClassVar[Grid] = Grid.SHARED

    size: tuple[int | None, ...]

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        size = [wanted or length for wanted, length in zip(self.size, x.shape[2:], strict=True)]
        return MAXIMA[len(size) - 1](x, size)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form, in float32 as for `MaxPool`."""
        return self.run(inputs[0].to(torch.float32)).to(inputs[0].dtype)


@dataclass(frozen=True)
class AveragePool(IntegerOp):
    """x (N, C, ...)."""

    grid: ClassVar[Grid] = Grid.OWN

    kernel: Sizes
    stride: Sizes
    padding: Sizes
    ceil_mode: bool = False
    count_include_pad: bool = True

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return self._pool(x, self.count_include_pad)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        total = self.sums(centred(inputs[0], signature.inputs[0]))
        return average(total, self.divisors(inputs[0].shape[2:]), signature, arithmetic)

    def sums(self, exact: Tensor) -> Tensor:
        """The sum of every window, of exact integers; padding adds zero."""
        return self._pool(exact, True, 1)

    def divisors(self, size: Sequence[int]) -> Tensor:
        """What torch divides each window's sum by (1, 1, ...): found by averaging ones."""
        ones = torch.ones(1, 1, *size, dtype=torch.float64)
        return torch.round(self.sums(ones) / self.run(ones))

    def _pool(self, x: Tensor, include_pad: bool, divisor: int | None = None) -> Tensor:
        counted = (self.ceil_mode, include_pad, divisor)
        if x.ndim == 3:  # torch has no divisor in one dimension
            window = ((1, *self.kernel), (1, *self.stride), (0, *self.padding))
            return F.avg_pool2d(x[:, :, None], *window, *counted)[:, :, 0]
        pool = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d
        return pool(x, self.kernel, self.stride, self.padding, *counted)


@dataclass(frozen=True)
class AveragePool1d(AveragePool):
    """x (N, C, L)."""

    name: ClassVar[str] = "average_pool1d"

    padding: Sizes = (0,)


@dataclass(frozen=True)
class AveragePool2d(AveragePool):
    """x (N, C, H, W)."""

    name: ClassVar[str] = "average_pool2d"

    padding: Sizes = (0, 0)


@dataclass(frozen=True)
class AveragePool3d(AveragePool):
    """x (N, C, D, H, W)."""

    name: ClassVar[str] = "average_pool3d"

    padding: Sizes = (0, 0, 0)


@dataclass(frozen=True)
class AdaptiveAveragePool(IntegerOp):
    """x (N, C, ...) to (N, C, *size), windows chosen by torch; None keeps a dimension."""

    grid: ClassVar[Grid] = Grid.OWN

    size: tuple[int | None, ...]

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        size = [wanted or length for wanted, length in zip(self.size, x.shape[2:], strict=True)]
        return AVERAGES[len(size) - 1](x, size)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form: the mean in float64, multiplied back, is the exact sum."""
        divisors = self.divisors(inputs[0].shape[2:])
        total = torch.round(self.run(centred(inputs[0], signature.inputs[0])) * divisors)
        return average(total, divisors, signature, arithmetic)

    def divisors(self, size: Sequence[int]) -> Tensor:
        """How many elements each window holds (1, 1, ...)."""
        product = torch.ones((1, 1, *[1] * len(size)), dtype=torch.float64)
        for axis, (length, wanted) in enumerate(zip(size, self.size, strict=True), start=2):
            counts = _window_lengths(length, wanted or length)
            product = product * counts.reshape(
                [-1 if i == axis else 1 for i in range(product.ndim)]
            )
        return product


@dataclass(frozen=True)
class AdaptiveAveragePool1d(AdaptiveAveragePool):
    """x (N, C, L)."""

    name: ClassVar[str] = "adaptive_average_pool1d"


@dataclass(frozen=True)
class AdaptiveAveragePool2d(AdaptiveAveragePool):
    """x (N, C, H, W)."""

    name: ClassVar[str] = "adaptive_average_pool2d"


@dataclass(frozen=True)
class AdaptiveAveragePool3d(AdaptiveAveragePool):
    """x (N, C, D, H, W)."""

    name: ClassVar[str] = "adaptive_average_pool3d"


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


def longest_window(length: int | str, wanted: int | None) -> int | str:
    """The most elements of one dimension that are averaged; all, where the length is not known."""
    if wanted is None:
        return 1
    return length if isinstance(length, str) else int(_window_lengths(length, wanted).max())


def _window_lengths(length: int, windows: int) -> Tensor:
    index = torch.arange(windows)
    start = (index * length) // windows
    end = -((-(index + 1) * length) // windows)
    return end - start


MAX_POOLS: dict[int, type[MaxPool1d] | type[MaxPool2d] | type[MaxPool3d]] = {
    1: MaxPool1d,
    2: MaxPool2d,
    3: MaxPool3d,
}
AVERAGE_POOLS: dict[int, type[AveragePool1d] | type[AveragePool2d] | type[AveragePool3d]] = {
    1: AveragePool1d,
    2: AveragePool2d,
    3: AveragePool3d,
}
ADAPTIVE_POOLS: dict[
    int, type[AdaptiveAveragePool1d] | type[AdaptiveAveragePool2d] | type[AdaptiveAveragePool3d]
] = {1: AdaptiveAveragePool1d, 2: AdaptiveAveragePool2d, 3: AdaptiveAveragePool3d}
"""By the number of spatial dimensions."""

NO_BATCH = "its input has no batch dimension"


def max_pool(rank: int) -> Callable[..., Value | str]:
    """Capture of aten.max_pool1d to 3d, and of zeropoint.max_pool1d (see capture/free_sizes.py)."""

    def rule(
        to: Builder,
        shape: Shape,
        x: Value,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        dilation: Sequence[int] = (1,),
        ceil_mode: bool = False,
    ) -> Value | str:
        if len(x.shape) != rank + 2:
            return NO_BATCH
        size, steps = _spread(kernel, rank), _spread(stride or kernel, rank)
        around, apart = _spread(padding, rank), _spread(dilation, rank)
        op = MAX_POOLS[rank](size, steps, around, apart, ceil_mode)
        return to.emit(op, x, shape=shape)

    return rule


def average_pool(rank: int) -> Callable[..., Value | str]:
    """Capture of aten.avg_pool1d to 3d; over a whole image it is a global pool."""

    def rule(
        to: Builder,
        shape: Shape,
        x: Value,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Value | str:
        if len(x.shape) != rank + 2:
            return NO_BATCH
        if divisor_override is not None:
            return f"divisor_override={divisor_override} has no integer form yet"
        size, steps = _spread(kernel, rank), _spread(stride or kernel, rank)
        if size == x.shape[2:] and not any(padding):
            return to.emit(global_pool(rank), x, shape=shape)
        around = _spread(padding, rank)
        op = AVERAGE_POOLS[rank](size, steps, around, ceil_mode, count_include_pad)
        return to.emit(op, x, shape=shape)

    return rule


def adaptive_average_pool(rank: int) -> Callable[..., Value | str]:
    """Capture of aten.adaptive_avg_pool1d to 3d; to one element it is a global pool."""

    def rule(to: Builder, shape: Shape, x: Value, size: Sequence[int | None]) -> Value | str:
        refusal = _why_not_adaptive(x, size, rank)
        if refusal is not None:
            return refusal
        wanted = tuple(size)
        if wanted == (1,) * rank:
            return to.emit(global_pool(rank), x, shape=shape)
        return to.emit(ADAPTIVE_POOLS[rank](wanted), x, shape=shape)

    return rule


def adaptive_max_pool(rank: int) -> Callable[..., Value | str]:
    """Capture of aten.adaptive_max_pool1d to 3d, if nobody reads its indices."""

    def rule(to: Builder, shape: Shape, x: Value, size: Sequence[int | None]) -> Value | str:
        refusal = _why_not_adaptive(x, size, rank)
        if refusal is not None:
            return refusal
        if tuple(size) == (1,) * rank:
            return to.emit(Amax(tuple(range(2, rank + 2)), True), x, shape=shape)
        return to.emit(AdaptiveMaxPool(tuple(size)), x, shape=shape)

    return rule


def _why_not_adaptive(x: Value, size: Sequence[int | None], rank: int) -> str | None:
    if len(x.shape) != rank + 2:
        return NO_BATCH
    if not all(wanted is None or isinstance(wanted, int) for wanted in size):
        return "its output size is computed at run time"
    return None


def mean(
    to: Builder,
    shape: Shape,
    x: Value,
    axes: Sequence[int] | int | None = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Value | str:
    """Capture of aten.mean; over height and width it is a global pool."""
    over = axes_of(x, axes)
    refusal = why_not_reduced(x, over)
    if refusal is not None:
        return refusal
    is_global = len(x.shape) == 4 and over == (2, 3)
    op = GlobalAveragePool(keepdim) if is_global else Mean(over, keepdim)
    return to.emit(op, x, shape=shape)


def global_pool(rank: int) -> GlobalAveragePool | Mean:
    """The mean over so many spatial dimensions, which stay with extent 1."""
    return GlobalAveragePool() if rank == 2 else Mean(tuple(range(2, rank + 2)), True)


def _spread(values: Sequence[int], rank: int) -> Sizes:
    return tuple(values) if len(values) == rank else tuple(values) * rank


OPS = (
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    AdaptiveMaxPool,
    AveragePool1d,
    AveragePool2d,
    AveragePool3d,
    AdaptiveAveragePool1d,
    AdaptiveAveragePool2d,
    AdaptiveAveragePool3d,
    GlobalAveragePool,
)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    **{f"aten.max_pool{rank}d.default": max_pool(rank) for rank in MAX_POOLS},
    "zeropoint.max_pool1d.default": max_pool(1),
    **{f"aten.avg_pool{rank}d.default": average_pool(rank) for rank in MAX_POOLS},
    **{f"aten.adaptive_avg_pool{rank}d.default": adaptive_average_pool(rank) for rank in MAX_POOLS},
    **{f"aten.adaptive_max_pool{rank}d.default": adaptive_max_pool(rank) for rank in MAX_POOLS},
    **{f"aten._adaptive_avg_pool{r}d.default": adaptive_average_pool(r) for r in (2, 3)},
    "aten.mean.dim": mean,
    "aten.mean.default": mean,
}
