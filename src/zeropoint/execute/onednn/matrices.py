"""Products of two computed matrices of uint8 codes.

    q_y = clamp(round(M sum (q_a - z_a)(q_b - z_b)) + z_y)

oneDNN multiplies unsigned by signed: the codes of b less 128, as int8, on a zero point less 128.
Elsewhere torch multiplies the exact integers as real numbers, in float32 if that holds every sum.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.errors import EngineError
from zeropoint.execute.onednn.attributes import Attributes
from zeropoint.execute.onednn.descriptors import F32, S8, S32, U8, strided
from zeropoint.execute.onednn.elementwise import requantize_sum
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.post_ops import clip
from zeropoint.execute.onednn.primitive import (
    DST,
    SCALES,
    SHAPES_KEPT,
    SRC,
    WEIGHTS,
    ZERO_POINTS,
    Made,
    Primitive,
)
from zeropoint.execute.onednn.recent import Recent

SIGN = 128
EXACT_IN_FLOAT32 = 1 << 24
LARGEST_PRODUCT = 255 * 255

Kernel = Callable[[Tensor, Tensor], Tensor]


def by_torch(a: QParams, b: QParams, y: QParams) -> Kernel:
    """The product of exact integers; float32, where the result is an accumulator."""
    zeros = int(a.zero_point.item()), int(b.zero_point.item())
    scale = a.scale.to(torch.float64) * b.scale.to(torch.float64)

    def kernel(first: Tensor, second: Tensor) -> Tensor:
        exact = first.shape[-1] * LARGEST_PRODUCT <= EXACT_IN_FLOAT32
        precision = torch.float32 if exact else torch.float64
        rows, columns = first.to(precision).sub_(zeros[0]), second.to(precision).sub_(zeros[1])
        total = torch.matmul(rows, columns).float()
        if y.type.bits == 32:
            return total.mul_(y.scale)
        return requantize_sum(total, (scale / y.scale).float(), y)

    return kernel


def by_onednn(library: Library, memory: Memory, a: QParams, b: QParams, y: QParams) -> Kernel:
    """The product as a primitive, one for each number of columns and layout of b."""
    made: Recent[tuple[int, bool], Product] = Recent(SHAPES_KEPT)

    def kernel(first: Tensor, second: Tensor) -> Tensor:
        shapes = first.shape[:-2], second.shape[:-2]
        batch: torch.Size = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]  # torch has no types for it
        shape = (*batch, first.shape[-2], second.shape[-1])
        if first.shape[-1] != second.shape[-2]:
            raise EngineError(
                f"matrices of shape {tuple(first.shape)} and {tuple(second.shape)} have no product"
            )
        if not min(shape, default=1) or not first.shape[-1]:
            return by_torch(a, b, y)(first, second)
        rows, columns = (x.expand(*batch, *x.shape[-2:]) for x in (first, second))
        signed = (columns ^ SIGN).view(torch.int8)
        turned = not signed.is_contiguous() and signed.mT.is_contiguous()
        key = (shape[-1], turned)
        make = partial(Product, library, memory, a, b, y, columns=shape[-1], turned=turned)
        flat = rows.reshape(-1, *rows.shape[-2:]).contiguous()
        return (
            made.get(key, make)
            .times(flat, signed if turned else signed.contiguous())
            .reshape(shape)
        )

    return kernel


class Product(Primitive):
    """a (B, M, K) in uint8 times b (B, K, N) in int8, the one in rows, the other maybe turned."""

    def __init__(
        self,
        library: Library,
        memory: Memory,
        a: QParams,
        b: QParams,
        y: QParams,
        *,
        columns: int,
        turned: bool,
    ) -> None:
        super().__init__(library, memory)
        self._columns, self._turned, self._y = columns, turned, y
        self._narrow = y.type.bits != 32
        if not self._narrow:
            self.output_dtype = torch.float32
        one, one_int = strided(library, [1], [1], F32), strided(library, [1], [1], S32)
        self._constants = []
        ends = [(SRC, a, 0), (WEIGHTS, b, SIGN), *([(DST, y, 0)] if self._narrow else [])]
        for kind, params, shift in ends:
            zero_point = params.zero_point.to(torch.int32).reshape(1) - shift
            self._constants.append((SCALES | kind, one, params.scale.reshape(1).clone()))
            self._constants.append((ZERO_POINTS | kind, one_int, zero_point))

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        """The product; b's memory is as `turned` says."""
        bound = self._bound(a)
        assert bound is not None  # neither is empty
        assert b.numel() == a.shape[0] * a.shape[2] * self._columns  # the caller checks
        y = torch.empty(bound.made.output_shape, dtype=self.output_dtype)
        bound.point(WEIGHTS, b.data_ptr())
        bound.execute(a, y)
        return y

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:2], self._columns)

    def _fits(self, x: Tensor) -> bool:
        return x.ndim == 3 and x.is_contiguous()

    def _make(
        self, shape: tuple[int, ...], strides: tuple[int, ...], output: tuple[int, ...]
    ) -> Made:
        library = self._library
        batch, rows, length = shape
        columns = self._columns
        source = strided(library, shape, [rows * length, length, 1], U8)
        steps = [1, length] if self._turned else [columns, 1]
        weights = strided(library, [batch, length, columns], [length * columns, *steps], S8)
        kind = U8 if self._narrow else F32
        target = strided(library, output, [rows * columns, columns, 1], kind)
        attributes = Attributes(library)
        attributes.grid(*((SRC, WEIGHTS, DST) if self._narrow else (SRC, WEIGHTS)))
        if self._narrow and self._y.high < 255:
            top = (self._y.high - int(self._y.zero_point)) * self._y.scale.item()
            attributes.functions([clip(None, top)])
        ends = (source, weights, None, target)
        description = attributes.description("matmul", library.engine, *ends)
        handle = library.create("primitive", description)
        nothing = torch.empty(0, dtype=torch.int8)
        constants = (*self._constants, (WEIGHTS, weights, nothing))
        return Made(handle, description, source, target, output, constants)
