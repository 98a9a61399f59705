"""Channels and pixels rearranged.

channel shuffle     (N, g c, H, W)     channel i c + j moves to j g + i
pixel shuffle       (N, C r^2, H, W)   to (N, C, r H, r W)
pixel unshuffle     (N, C, r H, r W)   to (N, C r^2, H, W)
unfold              (N, C, H, W)       to (N, C kH kW, L): each of L windows as a column
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from zeropoint.graph.build import Builder
from zeropoint.graph.value import UNKNOWN, Shape, Value
from zeropoint.ops.movement import Movement
from zeropoint.ops.pad import Pad

Pair = tuple[int, int]


@dataclass(frozen=True)
class ChannelShuffle(Movement):
    """The groups of channels interleaved."""

    name: ClassVar[str] = "channel_shuffle"

    groups: int

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return F.channel_shuffle(x, self.groups)


@dataclass(frozen=True)
class PixelShuffle(Movement):
    """Channels to pixels."""

    name: ClassVar[str] = "pixel_shuffle"

    factor: int

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return F.pixel_shuffle(x, self.factor)


@dataclass(frozen=True)
class PixelUnshuffle(Movement):
    """Pixels to channels."""

    name: ClassVar[str] = "pixel_unshuffle"

    factor: int

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return F.pixel_unshuffle(x, self.factor)


@dataclass(frozen=True)
class Unfold(Movement):
    """Windows without padding; a pad before it has been written out."""

    name: ClassVar[str] = "unfold"

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form; by views, since torch unfolds no integers."""
        for axis, (kernel, stride, dilation) in enumerate(
            zip(self.kernel, self.stride, self.dilation, strict=True)
        ):
            reach = dilation * (kernel - 1) + 1
            x = x.unfold(2 + axis, reach, stride)[..., ::dilation]
        # (N, C, H', W', kH, kW)
        return x.permute(0, 1, 4, 5, 2, 3).flatten(4).flatten(1, 3)


def channel_shuffle(to: Builder, shape: Shape, x: Value, groups: int) -> Value:
    """Capture of aten.channel_shuffle."""
    return to.emit(ChannelShuffle(groups), x, shape=shape)


def pixel_shuffle(to: Builder, shape: Shape, x: Value, factor: int) -> Value:
    """Capture of aten.pixel_shuffle."""
    return to.emit(PixelShuffle(factor), x, shape=shape)


def pixel_unshuffle(to: Builder, shape: Shape, x: Value, factor: int) -> Value:
    """Capture of aten.pixel_unshuffle."""
    return to.emit(PixelUnshuffle(factor), x, shape=shape)


def im2col(
    to: Builder,
    shape: Shape,
    x: Value,
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Value | str:
    """Capture of F.unfold: a pad with zeros, then windows."""
    if len(x.shape) != 4:
        return "its input has no batch dimension"
    if any(padding):
        (top, left), sides = padding, [2 * amount for amount in padding]
        grown = tuple(
            extent + more if isinstance(extent, int) else UNKNOWN
            for extent, more in zip(x.shape[2:], sides, strict=True)
        )
        amounts = (left, left, top, top)
        x = to.emit(Pad(amounts), x, shape=(*x.shape[:2], *grown), name=f"{to.hint}.pad")
    windows = ((kernel[0], kernel[1]), (stride[0], stride[1]), (dilation[0], dilation[1]))
    return to.emit(Unfold(*windows), x, shape=shape)


OPS = (ChannelShuffle, PixelShuffle, PixelUnshuffle, Unfold)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.channel_shuffle.default": channel_shuffle,
    "aten.native_channel_shuffle.default": channel_shuffle,
    "aten.pixel_shuffle.default": pixel_shuffle,
    "aten.pixel_unshuffle.default": pixel_unshuffle,
    "aten.im2col.default": im2col,
}
