"""The affine grid: equation (1) of docs/arithmetic.md.

    (1)  r = s (q - z)        q = clamp(round(r / s) + z, low, high)

`round` is half to even, as in IEEE 754, torch.round, oneDNN, ONNX Runtime and OpenVINO. Zero is
always exact: `z` is an integer within the type, so padding with `z` pads with real zeros.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType

SMALLEST_SCALE = 2.0**-60
"""Keeps s * s and 1 / s normal float32 numbers; a range this narrow holds nothing but zeros."""


@dataclass(frozen=True, eq=False)
class QParams:
    """Scale `s` (float32) and zero point `z` (int32): () per tensor, or (C,) along `axis`."""

    scale: Tensor
    zero_point: Tensor
    type: IntegerType
    axis: int | None = None

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, QParams)
            and (self.type, self.axis) == (other.type, other.axis)
            and torch.equal(self.scale, other.scale)
            and torch.equal(self.zero_point, other.zero_point)
        )

    __hash__ = None  # type: ignore[assignment]  # tensors compare by content, so they do not hash

    @property
    def low(self) -> int:
        """The smallest integer in use: a signed grid around zero leaves the lowest code out."""
        around_zero = self.type.signed and not bool(self.zero_point.any())
        return -self.type.high if around_zero else self.type.low

    @property
    def high(self) -> int:
        """The largest integer in use."""
        return self.type.high

    @property
    def real_range(self) -> tuple[Tensor, Tensor]:
        """The smallest and largest real number on the grid, each of the scale's shape."""
        return (self.low - self.zero_point) * self.scale, (self.high - self.zero_point) * self.scale


def per_tensor(scale: float, zero_point: int, type: IntegerType) -> QParams:
    """Parameters with one scale, rounded to float32.

    >>> from zeropoint.arithmetic.integer import UINT8
    >>> quantize(torch.tensor([-1.0, 0.0, 0.3, 9.0]), per_tensor(0.25, 4, UINT8)).tolist()
    [0, 4, 5, 40]
    """
    return QParams(
        torch.tensor(scale, dtype=torch.float32), torch.tensor(zero_point, dtype=torch.int32), type
    )


def broadcast(parameter: Tensor, rank: int, axis: int | None) -> Tensor:
    """A scale or zero point shaped to meet a tensor of `rank` dimensions along `axis`."""
    if axis is None or parameter.ndim == 0:
        return parameter
    shape = [1] * rank
    shape[axis] = -1
    return parameter.reshape(shape)


def quantize(real: Tensor, params: QParams) -> Tensor:
    """The integers nearest to `real` on the grid, saturated, in the type's storage dtype."""
    scale = broadcast(params.scale, real.ndim, params.axis)
    zero_point = broadcast(params.zero_point, real.ndim, params.axis)
    steps = torch.round(real / scale) + zero_point
    return steps.clamp(params.low, params.high).to(params.type.storage)


def simulate(real: Tensor, params: QParams) -> Tensor:
    """The real numbers that `real` becomes on the grid, in its own dtype: fake quantization."""
    scale = broadcast(params.scale, real.ndim, params.axis).to(real.dtype)
    zero_point = broadcast(params.zero_point, real.ndim, params.axis)
    steps = torch.round(real / scale)
    return steps.clamp_(params.low - zero_point, params.high - zero_point).mul_(scale)


def dequantize(q: Tensor, params: QParams) -> Tensor:
    """The real numbers (float32) that the integers stand for."""
    scale = broadcast(params.scale, q.ndim, params.axis)
    zero_point = broadcast(params.zero_point, q.ndim, params.axis)
    return (q.to(torch.int32) - zero_point).to(torch.float32) * scale


def asymmetric(low: Tensor, high: Tensor, type: IntegerType, axis: int | None = None) -> QParams:
    """The affine grid over [low, high], widened to hold zero.

    The zero point is rounded and clamped, and the scale then made to reach both ends from there:

        s = max(-low / (z - q_low), high / (q_high - z))

    Rounding z alone would shift the grid by up to half a step, so that one end clips; and an image
    in [-1, 1] would have all its 256 levels halfway between two codes, where engines differ.

    The grid of one-sided data is one-sided: its zero point is the type's end. An empty range gets
    scale 1, so that a constant zero stays zero.
    """
    low, high = low.clamp(max=0.0).to(torch.float64), high.clamp(min=0.0).to(torch.float64)
    scale = _usable((high - low) / (type.high - type.low))
    zero_point = torch.round(type.low - low / scale).clamp(type.low, type.high)
    if type.signed and not bool(zero_point.any()):
        return symmetric(low, high, type, axis)  # around zero the lowest code is out: see `low`
    below = -low / (zero_point - type.low).clamp(min=1.0)
    above = high / (type.high - zero_point).clamp(min=1.0)
    below = torch.where(zero_point > type.low, below, 0.0)
    above = torch.where(zero_point < type.high, above, 0.0)
    reaching = _usable(torch.maximum(below, above)).to(torch.float32)
    return QParams(reaching, zero_point.to(torch.int32), type, axis)


def symmetric(low: Tensor, high: Tensor, type: IntegerType, axis: int | None = None) -> QParams:
    """The grid with zero in its middle over [-m, m], m = max(-low, high).

    A signed type uses [-(2^(b-1) - 1), 2^(b-1) - 1] and z = 0, so that a weight and its negative
    round alike. An unsigned type has z = 2^(b-1), except for one-sided data: there z = 0 and no
    code is wasted (a signed grid after ReLU loses one bit).
    """
    bound = torch.maximum(-low, high).clamp(min=0.0).to(torch.float64)
    if type.signed:
        scale = _usable(bound / type.high).to(torch.float32)
        return QParams(scale, torch.zeros_like(scale, dtype=torch.int32), type, axis)
    if bool((low >= 0).all()):
        return asymmetric(low, high, type, axis)
    middle = 1 << (type.bits - 1)
    scale = _usable(bound / (middle - 1)).to(torch.float32)
    return QParams(scale, torch.full_like(scale, middle, dtype=torch.int32), type, axis)


def _usable(scale: Tensor) -> Tensor:
    return torch.where(scale < SMALLEST_SCALE, torch.ones_like(scale), scale)
