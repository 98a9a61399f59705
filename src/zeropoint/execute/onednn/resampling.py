"""Linear interpolation of uint8 codes.

    q_y = clamp(round(M (t / D - z_x)) + z_y)        t = sum n_i q_i, an integer

oneDNN's resampling and torch's compute t / D in float32, from positions that they compute in
float32 too: exactly where each D is a power of two, as it is for a factor of 2 or 4. Elsewhere t
comes from the operator's own integers, in float32 if that holds them.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.execute.onednn.attributes import Attributes
from zeropoint.execute.onednn.descriptors import U8, images
from zeropoint.execute.onednn.elementwise import requantize_sum
from zeropoint.execute.onednn.layout import channels_last, is_channels_last
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.post_ops import LINEAR, clip
from zeropoint.execute.onednn.primitive import INFERENCE, SHAPES_KEPT, Made, Primitive
from zeropoint.execute.onednn.recent import Recent
from zeropoint.ops.upsample import MODES, Interpolate, Positions

RESAMPLING_LINEAR = 0x2FFF1
EXACT_IN_FLOAT32 = 1 << 24

Kernel = Callable[..., Tensor]

Resample = Callable[[Tensor, Sequence[int]], Tensor]
"""From codes and the sizes of the result to the codes of the result."""


def interpolation(op: Interpolate, x: QParams, y: QParams, simple: Resample | None) -> Kernel:
    """The kernel; `simple` is for positions that float32 computes exactly."""
    ratio = x.scale.to(torch.float64) / y.scale
    x_zero = int(x.zero_point.item())
    # Equal scales make ties of every other result, and oneDNN rounds those after adding z.
    untied = ratio != 1.0

    def kernel(q: Tensor, *sizes: int) -> Tensor:
        axes = _positions(op, tuple(q.shape[2:]), tuple(int(size) for size in sizes))
        if simple is not None and untied and all(_is_dyadic(axis) for axis in axes):
            return simple(q, [len(axis.before) for axis in axes])
        parts = prod(axis.parts for axis in axes)
        total = q.to(torch.float32 if parts << 8 <= EXACT_IN_FLOAT32 else torch.float64)
        total -= x_zero
        for axis, positions in enumerate(axes, start=2):
            total = positions.interpolate(total, axis)
        return requantize_sum(channels_last(total).float(), (ratio / parts).float(), y)

    return kernel


@lru_cache(maxsize=256)
def _positions(
    op: Interpolate, lengths: tuple[int, ...], sizes: tuple[int, ...]
) -> list[Positions]:
    return op.positions(lengths, sizes)


def _is_dyadic(positions: Positions) -> bool:
    return positions.parts & (positions.parts - 1) == 0


def by_torch(op: Interpolate, x: QParams, y: QParams) -> Resample:
    """The way through torch's float kernel."""
    x_zero = int(x.zero_point.item())
    multiplier = (x.scale.to(torch.float64) / y.scale).float()

    def simple(q: Tensor, size: Sequence[int]) -> Tensor:
        steps = q.to(torch.float32).sub_(x_zero)
        mode = MODES[q.ndim - 2]
        real = F.interpolate(steps, list(size), mode=mode, align_corners=op.align_corners)
        return requantize_sum(real, multiplier, y)

    return simple


def by_onednn(library: Library, memory: Memory, x: QParams, y: QParams) -> Resample:
    """The way through oneDNN's resampling, whose positions are those of align_corners=False."""
    made: Recent[tuple[int, ...], Resampling] = Recent(SHAPES_KEPT)

    def simple(q: Tensor, size: Sequence[int]) -> Tensor:
        wanted = tuple(size)
        resampling = made.get(wanted, lambda: Resampling(library, memory, wanted, x, y))
        return resampling(channels_last(q))

    return simple


class Resampling(Primitive):
    """uint8 images in channels_last to another size and another grid."""

    def __init__(
        self, library: Library, memory: Memory, size: tuple[int, ...], x: QParams, y: QParams
    ) -> None:
        super().__init__(library, memory)
        self._size = size
        alpha = x.scale.item() / y.scale.item()
        beta = int(y.zero_point.item()) - alpha * int(x.zero_point.item())
        narrow = () if y.high == 255 else (clip(None, float(y.high)),)
        self._post_ops = ((LINEAR, alpha, beta), *narrow)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:2], *self._size)

    def _fits(self, x: Tensor) -> bool:
        return x.ndim == len(self._size) + 2 and is_channels_last(x)

    def _make(
        self, shape: tuple[int, ...], strides: tuple[int, ...], output: tuple[int, ...]
    ) -> Made:
        library = self._library
        source, target = images(library, shape, U8), images(library, output, U8)
        attributes = Attributes(library)
        attributes.functions(self._post_ops)
        description = attributes.description(
            "resampling_forward",
            library.engine,
            INFERENCE,
            RESAMPLING_LINEAR,
            None,
            source,
            target,
        )
        handle = library.create("primitive", description)
        return Made(handle, description, source, target, output)
