"""Quantizing an input as a oneDNN primitive: from float32 of any layout to uint8."""

from ctypes import c_void_p

import torch
from torch import Tensor

from zeropoint.execute.onednn.descriptors import F32, S32, U8, images, row_major, strided, vector
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.primitive import DST, SCALES, ZERO_POINTS, Made, Pool, Primitive


class Quantization(Primitive):
    """clamp(round(x / s) + z, 0, 255) of float32 of any layout, in channels_last or in rows."""

    def __init__(
        self, library: Library, pool: Pool, scale: float, zero_point: int, *, channels_last: bool
    ) -> None:
        super().__init__(library, pool)
        self._channels_last = channels_last
        one, one_int = vector(library, 1, F32), vector(library, 1, S32)
        self._constants: tuple[tuple[int, c_void_p | int, Tensor], ...] = (
            (SCALES | DST, one, torch.tensor([scale])),
            (ZERO_POINTS | DST, one_int, torch.tensor([zero_point], dtype=torch.int32)),
        )

    def _make(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> Made:
        library = self._library
        source = strided(library, shape, strides, F32)
        rows = strided(library, shape, row_major(shape), U8)
        target = images(library, shape, U8) if self._channels_last else rows
        attributes = library.create("primitive_attr")
        library.call("primitive_attr_set_scales_mask", attributes, DST, 0)
        library.call("primitive_attr_set_zero_points_mask", attributes, DST, 0)
        description = library.create(
            "primitive_desc",
            source,
            library.engine,
            target,
            library.engine,
            attributes,
            by="reorder_primitive_desc_create",
        )
        library.call("primitive_attr_destroy", attributes)
        handle = library.create("primitive", description)
        return Made(library, handle, description, source, target, shape, self._constants)
