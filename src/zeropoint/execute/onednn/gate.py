"""An image times one number for each of its channels, as in squeeze-and-excitation.

    q_y = clamp(round(factor q_x + offset))
    factor = M (q_g - z_g)        offset = z_y - factor z_x

One image is one execution: oneDNN has no fast kernel for numbers that differ between images.
"""

import torch
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.execute.onednn.attributes import Attributes
from zeropoint.execute.onednn.descriptors import F32, U8, strided
from zeropoint.execute.onednn.descriptors import images as image_layout
from zeropoint.execute.onednn.layout import is_channels_last
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.post_ops import PostOp
from zeropoint.execute.onednn.primitive import DST, SRC, Made, Primitive

ADD, MUL = 0x1FFF0, 0x1FFF1
FACTORS = 2
"""The second operand."""

OFFSETS = 32768 | 2
"""The second operand of the first post-operation."""


class Gate(Primitive):
    """uint8 images (N, C, H, W) in channels_last, times factors (N, C) and plus offsets."""

    def __init__(
        self,
        library: Library,
        memory: Memory,
        *,
        channels: int,
        zero_points: tuple[int, int],
        bounds: tuple[PostOp, ...],
    ) -> None:
        super().__init__(library, memory)
        self._before, self._after = zero_points
        self._bounds, self._channels = bounds, channels
        self._row = strided(library, [1, channels, 1, 1], [channels, 1, channels, channels], F32)
        self._constants = tuple(
            (operand, self._row, torch.zeros(channels)) for operand in (FACTORS, OFFSETS)
        )

    def times(self, x: Tensor, factors: Tensor) -> Tensor:
        """The codes of x times `factors`, float32 (N, C): steps of the result for each of x."""
        if factors.shape != x.shape[:2] or x.shape[1] != self._channels:
            raise EngineError(f"an image of shape {tuple(x.shape)} times {tuple(factors.shape)}")
        y = self._output(tuple(x.shape))
        offsets = torch.add(factors.mul(-self._before), self._after)
        bound = self._bound(x[:1])
        if bound is None:
            return y
        for image in range(len(x)):
            bound.point(SRC, x.data_ptr() + image * x.stride(0))
            bound.point(DST, y.data_ptr() + image * y.stride(0))
            bound.point(FACTORS, factors.data_ptr() + image * factors.stride(0) * 4)
            bound.point(OFFSETS, offsets.data_ptr() + image * offsets.stride(0) * 4)
            bound.run()
        return y

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def _fits(self, x: Tensor) -> bool:
        return x.ndim == 4 and is_channels_last(x)

    def _make(
        self, shape: tuple[int, ...], strides: tuple[int, ...], output: tuple[int, ...]
    ) -> Made:
        library = self._library
        source, target = image_layout(library, shape, U8), image_layout(library, shape, U8)
        attributes = Attributes(library)
        attributes.post_op("binary", ADD, self._row)
        attributes.functions(self._bounds)
        ends = (source, self._row, target)
        description = attributes.description("binary", library.engine, MUL, *ends)
        handle = library.create("primitive", description)
        return Made(handle, description, source, target, shape, self._constants)
