"""Concatenation: each part goes to its place in the result, and onto its grid, in one pass."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.execute.onednn.attributes import Attributes
from zeropoint.execute.onednn.descriptors import F32, S32, U8, strided
from zeropoint.execute.onednn.elementwise import Affine
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.primitive import (
    DST,
    SCALES,
    SHAPES_KEPT,
    SRC,
    ZERO_POINTS,
    Made,
    Primitive,
)
from zeropoint.execute.onednn.recent import Recent


class Joining:
    """uint8 tensors of three dimensions and more, one after the other along an axis.

    `parts` holds the grid of each operand that is not on that of the result, None for the rest.
    """

    def __init__(
        self,
        library: Library,
        memory: Memory,
        axis: int,
        parts: Sequence[Affine | None],
        to: Affine,
    ) -> None:
        self._library, self._memory = library, memory
        self._axis, self._parts, self._to = axis, parts, to
        self._made: Recent[tuple[int, tuple[int, ...]], Regridding] = Recent(SHAPES_KEPT)

    def __call__(self, *parts: Tensor) -> Tensor:
        """The result, in channels_last."""
        shape = list(parts[0].shape)
        shape[self._axis] = sum(part.shape[self._axis] for part in parts)
        y = self._memory.take(tuple(shape))
        begin = 0
        for index, part in enumerate(parts):
            place = y.narrow(self._axis, begin, part.shape[self._axis])
            begin += part.shape[self._axis]
            if place.shape != part.shape:
                raise EngineError(
                    f"tensors of shape {tuple(parts[0].shape)} and {tuple(part.shape)} cannot be "
                    f"joined along dimension {self._axis}"
                )
            if self._parts[index] is None:
                place.copy_(part)
            elif part.numel():
                self._regridding(index, place.stride()).into(part, place)
        return y

    def _regridding(self, index: int, strides: tuple[int, ...]) -> "Regridding":
        x = self._parts[index]
        assert x is not None  # the caller checks
        make = partial(Regridding, self._library, self._memory, x, self._to, strides)
        return self._made.get((index, strides), make)


class Regridding(Primitive):
    """uint8 codes onto another grid, wherever they are, to memory with `strides`."""

    def __init__(
        self, library: Library, memory: Memory, x: Affine, y: Affine, strides: tuple[int, ...]
    ) -> None:
        super().__init__(library, memory)
        self._strides = strides
        one, one_int = strided(library, [1], [1], F32), strided(library, [1], [1], S32)
        self._constants = []
        for kind, (scale, zero_point) in ((SRC, x), (DST, y)):
            zero = torch.tensor([zero_point], dtype=torch.int32)
            self._constants.append((SCALES | kind, one, torch.tensor([scale])))
            self._constants.append((ZERO_POINTS | kind, one_int, zero))

    def into(self, x: Tensor, y: Tensor) -> None:
        """Write the codes of x on the other grid to y."""
        repeats = any(step == 0 and n > 1 for step, n in zip(x.stride(), x.shape, strict=True))
        dense = x.contiguous() if repeats else x
        bound = self._bound(dense)
        if bound is not None:
            bound.execute(dense, y)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def _fits(self, x: Tensor) -> bool:
        return True  # at any strides

    def _make(
        self, shape: tuple[int, ...], strides: tuple[int, ...], output: tuple[int, ...]
    ) -> Made:
        library = self._library
        source = strided(library, shape, strides, U8)
        target = strided(library, shape, self._strides, U8)
        attributes = Attributes(library)
        attributes.grid(SRC, DST)
        ends = (source, library.engine, target, library.engine)
        description = attributes.description("reorder", *ends)
        handle = library.create("primitive", description)
        return Made(handle, description, source, target, shape, tuple(self._constants))
