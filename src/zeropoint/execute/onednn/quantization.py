"""Quantizing an input as a oneDNN primitive: from float32 of any layout to uint8."""

import torch
from torch import Tensor

from zeropoint.execute.onednn.attributes import Attributes
from zeropoint.execute.onednn.descriptors import F32, S32, U8, images, row_major, strided, vector
from zeropoint.execute.onednn.library import Handle, Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.primitive import DST, SCALES, ZERO_POINTS, Made, Primitive


class Quantization(Primitive):
    """clamp(round(x / s) + z, 0, 255) of float32 of any layout, in channels_last or in rows."""

    def __init__(
        self,
        library: Library,
        memory: Memory,
        scale: float,
        zero_point: int,
        *,
        channels_last: bool,
    ) -> None:
        super().__init__(library, memory)
        self._channels_last = channels_last
        one, one_int = vector(library, 1, F32), vector(library, 1, S32)
        self._constants: tuple[tuple[int, Handle | int, Tensor], ...] = (
            (SCALES | DST, one, torch.tensor([scale])),
            (ZERO_POINTS | DST, one_int, torch.tensor([zero_point], dtype=torch.int32)),
        )

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def _fits(self, x: Tensor) -> bool:
        return True  # at any strides

    def _make(
        self, shape: tuple[int, ...], strides: tuple[int, ...], output: tuple[int, ...]
    ) -> Made:
        library = self._library
        source = strided(library, shape, strides, F32)
        rows = strided(library, shape, row_major(shape), U8)
        target = images(library, shape, U8) if self._channels_last else rows
        attributes = Attributes(library)
        attributes.grid(DST)
        ends = (source, library.engine, target, library.engine)
        description = attributes.description("reorder", *ends)
        handle = library.create("primitive", description)
        return Made(handle, description, source, target, shape, self._constants)
