"""What primitives are made with."""

import torch
from torch import Tensor

from zeropoint.execute.onednn.attributes import Attributes
from zeropoint.execute.onednn.descriptors import F32, S8, U8, images, strided
from zeropoint.execute.onednn.layout import is_channels_last
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.post_ops import clip
from zeropoint.execute.onednn.primitive import (
    QUERY_SCRATCHPAD,
    SCALES,
    SRC,
    ZERO_POINTS,
    Made,
    Primitive,
)


def matmul_scratch(library: Library, attributes: Attributes | None) -> int:
    """Bytes that a product of matrices onto bytes wants of its caller, on every kind of CPU."""
    source = strided(library, [1, 7, 64], [448, 64, 1], U8)
    weights = strided(library, [1, 64, 33], [64 * 33, 1, 64], S8)
    target = strided(library, [1, 7, 33], [231, 33, 1], U8)
    ends = (library.engine, source, weights, None, target)
    if attributes is None:
        by = "matmul_primitive_desc_create"
        description = library.create("primitive_desc", *ends, None, by=by)
    else:
        description = attributes.description("matmul", *ends)
    found = library.query_md(description, QUERY_SCRATCHPAD, 0)
    return library.md_size(found) if found else 0


def test_temporary_memory_is_the_callers(library: Library) -> None:
    """What oneDNN keeps with a primitive, threads that run it together would share."""
    assert matmul_scratch(library, None) == 0
    assert matmul_scratch(library, Attributes(library)) > 0


class Shifted(Primitive):
    """2 (x - 3) of uint8 images, as float32."""

    output_dtype = torch.float32

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def _fits(self, x: Tensor) -> bool:
        return is_channels_last(x)

    def _make(
        self, shape: tuple[int, ...], strides: tuple[int, ...], output: tuple[int, ...]
    ) -> Made:
        library = self._library
        one = strided(library, [1], [1], F32)
        source, target = images(library, shape, U8), images(library, shape, F32)
        attributes = Attributes(library)
        attributes.grid(SRC)
        ends = (source, library.engine, target, library.engine)
        description = attributes.description("reorder", *ends)
        handle = library.create("primitive", description)
        zero = strided(library, [1], [1], 4)
        constants = (
            (SCALES | SRC, one, torch.tensor([2.0])),
            (ZERO_POINTS | SRC, zero, torch.tensor([3], dtype=torch.int32)),
        )
        return Made(handle, description, source, target, shape, constants)


def test_an_operand_has_a_grid(library: Library) -> None:
    q = torch.arange(24, dtype=torch.uint8).reshape(1, 2, 3, 4)
    x = q.contiguous(memory_format=torch.channels_last)
    y = Shifted(library, Memory())(x)
    assert torch.equal(y, 2 * (q.to(torch.float32) - 3))


def test_post_operations_have_names(library: Library) -> None:
    attributes = Attributes(library)
    attributes.post_op("sum", 1.0, 0, U8)
    attributes.functions([clip(0.0, 6.0)])
    assert matmul_scratch(library, attributes) > 0
