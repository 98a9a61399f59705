"""Resampling to another size: the nearest element, or linear interpolation, in 1 to 3 dimensions.

    nearest   float and integer alike: copies; the grid is that of x
    linear    integer   q_y = clamp(round(M sum n_i (q_i - z_x)) + z_y)      M = s_x / (D s_y)

A position between two elements of one dimension is a fraction: of D_axis parts it has n from the
next element and D_axis - n from the one before. n and D_axis are integers found from the sizes, so
the sum over all dimensions is exact, with D the product of all D_axis:

    position i of n out of L    (2 i + 1) L / (2 n) - 1/2,  at least 0      D_axis divides 2 n
    align_corners               i (L - 1) / (n - 1)                         D_axis divides n - 1

Where D 255 would leave int32, positions are rounded to multiples of 2^-(22 // dimensions).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, prod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic, Term
from zeropoint.arithmetic.requantize import Grid as Result
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.accumulate import as_int32, centred
from zeropoint.ops.movement import Movement, Numbers, put_in, taken_out

FACTOR_DENOMINATOR = 1 << 16
"""A factor such as 1.3 is the nearest fraction with a denominator up to this: 13 / 10."""

PARTS_BITS = 22
"""2^22 255 is below 2^30: a sum of so many parts fits int32, whatever is summed."""

MOST_PARTS = 2**23 - 1
"""More are rounded: times 255 this is below 2^31."""

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class Nearest(Movement):
    """x (N, C, ...) to `size`, or by `factors`; a size follows x for each None in `size`.

    `exact` rounds as "nearest-exact" does, by the centres of elements.
    """

    name: ClassVar[str] = "nearest"

    size: Numbers = ()
    factors: tuple[float, ...] = ()
    exact: bool = False

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form; torch copies integers as well."""
        mode = "nearest-exact" if self.exact else "nearest"
        return F.interpolate(x, put_in(self.size, sizes) or None, self.factors or None, mode)


@dataclass(frozen=True)
class Interpolate(IntegerOp):
    """x (N, C, ...) to `size`, or by `factors`, linearly in each dimension."""

    name: ClassVar[str] = "interpolate"
    grid: ClassVar[Grid] = Grid.OWN

    size: Numbers = ()
    factors: tuple[float, ...] = ()
    align_corners: bool = False

    def roles(self, count: int) -> tuple[Role, ...]:
        """An activation, then sizes."""
        return (Role.ACTIVATION, *[Role.SIZE] * (count - 1))

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        size, mode = put_in(self.size, sizes), MODES[x.ndim - 2]
        return F.interpolate(x, size or None, self.factors or None, mode, self.align_corners)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        x, *sizes = inputs
        axes = self.positions(x.shape[2:], [int(size) for size in sizes])
        total = centred(x, signature.inputs[0])
        for axis, positions in enumerate(axes, start=2):
            total = positions.interpolate(total, axis)
        out, whole = signature.output, prod(positions.parts for positions in axes)
        multiplier = signature.inputs[0].scale.to(torch.float64) / (whole * out.scale)
        grid = Result(int(out.zero_point.item()), out.low, out.high)
        return arithmetic.requantize([Term(as_int32(total), multiplier)], grid).to(out.type.storage)

    def positions(self, lengths: Sequence[int], sizes: Sequence[int] = ()) -> list["Positions"]:
        """Where the elements of the result lie in each dimension of x."""
        found = [
            _positions(length, wanted, ratio, self.align_corners)
            for length, (wanted, ratio) in zip(lengths, self._wanted(lengths, sizes), strict=True)
        ]
        if prod(positions.parts for positions in found) <= MOST_PARTS:
            return found
        return [positions.rounded(1 << PARTS_BITS // len(found)) for positions in found]

    def _wanted(self, lengths: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, Fraction]]:
        """The length of each dimension of the result, and how far apart its elements are in x."""
        if self.factors:
            factors = [Fraction(f).limit_denominator(FACTOR_DENOMINATOR) for f in self.factors]
            return [
                (int(length * given), 1 / factor)  # torch's product, in floating point
                for length, given, factor in zip(lengths, self.factors, factors, strict=True)
            ]
        size = put_in(self.size, sizes)
        return [(n, Fraction(length, n)) for length, n in zip(lengths, size, strict=True)]


def most_parts(op: Interpolate, lengths: Sequence[int | str]) -> int | None:
    """The most parts in which positions are told; None if that depends on sizes of a run."""
    if op.factors and not op.align_corners:
        factors = [Fraction(f).limit_denominator(FACTOR_DENOMINATOR) for f in op.factors]
        return min(prod(2 * factor.numerator for factor in factors), MOST_PARTS)
    known = [length for length in lengths if isinstance(length, int)]
    if len(known) < len(lengths) or None in op.size:
        return None
    return prod(positions.parts for positions in op.positions(known))


@dataclass(frozen=True)
class Positions:
    """For each element of the result the two beside it in x, and the second's share of `parts`."""

    before: Tensor
    after: Tensor
    share: Tensor
    parts: int

    def interpolate(self, x: Tensor, axis: int) -> Tensor:
        """`parts` times the interpolation of integers along `axis`: integers, exactly."""
        shape = [-1 if place == axis else 1 for place in range(x.ndim)]
        share = self.share.to(x.dtype).reshape(shape)
        below = x.index_select(axis, self.before) * (self.parts - share)
        return below + x.index_select(axis, self.after) * share

    def rounded(self, parts: int) -> "Positions":
        """The same to the nearest multiple of 1 / parts, unless they are fewer already."""
        if self.parts <= parts:
            return self
        share = torch.round(self.share.to(torch.float64) * (parts / self.parts))
        return Positions(self.before, self.after, share.to(torch.int64), parts)


def _positions(length: int, wanted: int, ratio: Fraction, align_corners: bool) -> Positions:
    index = torch.arange(wanted)
    if align_corners:
        parts = max(wanted - 1, 1)
        numerator = index * (length - 1) if wanted > 1 else index
    else:
        parts = 2 * ratio.denominator
        numerator = (2 * index + 1) * ratio.numerator - ratio.denominator
    common = gcd(parts, *numerator.tolist())
    numerator, parts = numerator.clamp(min=0) // common, parts // common
    before = (numerator // parts).clamp(max=length - 1)
    share = numerator - before * parts
    after = (before + 1).clamp(max=length - 1)
    return Positions(before, after, share.clamp(max=parts), parts)


Factors = Sequence[float] | None
Sizes = Sequence[int | Value] | None


def nearest(
    to: Builder, shape: Shape, x: Value, size: Sizes, factors: Factors = None, *more: float | None
) -> Value:
    """Capture of nearest upsampling."""
    return _nearest(to, shape, x, size, _factors(factors, more), exact=False)


def nearest_exact(
    to: Builder, shape: Shape, x: Value, size: Sizes, factors: Factors = None, *more: float | None
) -> Value:
    """Capture of "nearest-exact"."""
    return _nearest(to, shape, x, size, _factors(factors, more), exact=True)


def _nearest(
    to: Builder, shape: Shape, x: Value, size: Sizes, factors: tuple[float, ...], *, exact: bool
) -> Value:
    numbers, sizes = taken_out(() if factors else size or ())
    return to.emit(Nearest(numbers, factors, exact), x, *sizes, shape=shape)


def linear(
    to: Builder,
    shape: Shape,
    x: Value,
    size: Sizes,
    align_corners: bool = False,
    factors: Factors = None,
    *more: float | None,
) -> Value:
    """Capture of linear, bilinear and trilinear upsampling."""
    by = _factors(factors, more)
    numbers, sizes = taken_out(() if by else size or ())
    return to.emit(Interpolate(numbers, by, align_corners), x, *sizes, shape=shape)


def _factors(first: object, more: Sequence[float | None]) -> tuple[float, ...]:
    """The factors as one list, or as arguments of their own."""
    if isinstance(first, (list, tuple)):
        return tuple(float(factor) for factor in first)
    given = [factor for factor in (first, *more) if isinstance(factor, (int, float))]
    return tuple(float(factor) for factor in given)


OPS = (Nearest, Interpolate)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    **{
        f"aten.{name}{rank}d.{overload}": rule
        for name, rule in (
            ("upsample_nearest", nearest),
            ("_upsample_nearest_exact", nearest_exact),
        )
        for rank in (1, 2, 3)
        for overload in ("vec", "default")
    },
    **{
        f"aten.upsample_{mode}{rank}d.{overload}": linear
        for rank, mode in MODES.items()
        for overload in ("vec", "default")
    },
}
