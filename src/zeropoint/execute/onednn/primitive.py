"""oneDNN primitives: products, poolings and quantizers, made once for a shape, then executed.

    weights   reordered once into the layout that the primitive asks for
    memory    the addresses of input and output are set before each execution; the rest never moves

The arithmetic is that of `torch.ops.onednn`, which makes the same primitive at every call.
"""

import ctypes
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from ctypes import c_int, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zeropoint.execute.onednn.defects import too_small
from zeropoint.execute.onednn.layout import empty
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.post_ops import PostOp

F32, S32, S8, U8 = 3, 4, 5, 6
ANY = 1
INFERENCE, CONVOLUTION, DECONVOLUTION = 96, 1, 10
MAX_POOLING = 0x1FF
SRC, DST, WEIGHTS, BIAS, SCALES, ZERO_POINTS = 1, 17, 33, 41, 4096, 8192
QUERY_WEIGHTS = 131

SHAPES_KEPT = 64
"""Primitives are kept for so many input shapes; then all are made anew as they come."""


class _Argument(ctypes.Structure):
    _fields_ = (("kind", c_int), ("memory", c_void_p))


@dataclass(frozen=True)
class Window:
    """How a convolution moves over an image; with an `output_padding`, the transposed kind."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int
    output_padding: Sequence[int] | None = None


@dataclass(frozen=True)
class Epilogue:
    """What follows the accumulator: a residual, functions of the sum, the grid of the output.

    `scale` None leaves float32.
    """

    scale: float | None
    zero_point: int
    functions: tuple[PostOp, ...]
    residual: tuple[float, int] | None


class Pool(threading.local):
    """Memory of results that nobody needs any more, by shape: one such pool a thread.

    Fresh memory costs a page fault every 4096 bytes; memory that was just written is in the cache.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[int, ...], list[Tensor]] = {}
        self._inputs: tuple[tuple[int, ...], ...] = ()

    def begin(self, inputs: tuple[tuple[int, ...], ...]) -> None:
        """A call with inputs of these shapes starts; what other shapes have left is let go."""
        if inputs != self._inputs:
            self._free, self._inputs = {}, inputs

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """A uint8 image in channels_last with arbitrary contents."""
        free = self._free.get(shape)
        if free:
            return free.pop()
        return empty(shape, torch.uint8)

    def give(self, image: Tensor) -> None:
        """Take back an image that nothing refers to any more."""
        self._free.setdefault(tuple(image.shape), []).append(image)


@dataclass(frozen=True)
class Made:
    """A primitive for one shape: descriptors of both ends, and the memories that never move."""

    library: Library
    handle: c_void_p
    description: c_void_p
    source: c_void_p
    target: c_void_p
    output_shape: tuple[int, ...]
    constants: tuple[tuple[int, c_void_p | int, Tensor], ...] = ()

    def __del__(self) -> None:
        if sys.is_finalizing():
            return
        self.library.call("primitive_destroy", self.handle)
        self.library.call("primitive_desc_destroy", self.description)
        for descriptor in (self.source, self.target):
            self.library.call("memory_desc_destroy", descriptor)


class Primitive(ABC):
    """One input, one output; a primitive for each shape that comes. Threads may share it."""

    output_dtype: torch.dtype = torch.uint8

    def __init__(self, library: Library, pool: Pool) -> None:
        self._library = library
        self._pool = pool
        self._threads = threading.local()
        self._made: dict[tuple[int, ...], Made] = {}
        self._lock = threading.Lock()

    @abstractmethod
    def _make(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> Made:
        """The primitive for inputs of that shape and these strides."""

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """The result; written onto the residual `onto` if there is one."""
        bound = self._bound(x)
        if onto is None:
            onto = self._output(bound.made.output_shape)
        bound.execute(x, onto)
        return onto

    def _output(self, shape: tuple[int, ...]) -> Tensor:
        if len(shape) > 2 and self.output_dtype == torch.uint8:
            return self._pool.take(shape)
        return empty(shape, self.output_dtype)

    def _bound(self, x: Tensor) -> "_Bound":
        """The memory objects of this thread for inputs like x; primitives divide work once."""
        strides = x.stride()
        key = (*x.shape, *strides, torch.get_num_threads())
        mine: dict[tuple[int, ...], _Bound] | None = getattr(self._threads, "bound", None)
        if mine is None:
            mine = self._threads.bound = {}
        found = mine.get(key)
        if found is None:
            with self._lock:
                if len(self._made) >= SHAPES_KEPT:
                    self._made.clear()
                if key not in self._made:
                    self._made[key] = self._make(tuple(x.shape), strides)
                made = self._made[key]
            if len(mine) >= SHAPES_KEPT:
                mine.clear()
            found = mine[key] = _Bound(self._library, made)
        return found


class _Bound:
    """A primitive with one thread's memory objects."""

    def __init__(self, library: Library, made: Made) -> None:
        self._library, self.made = library, made
        self._x, self._y = self._memory(made.source, None), self._memory(made.target, None)
        memories = {SRC: self._x, DST: self._y}
        for kind, descriptor, tensor in made.constants:
            memories[kind] = self._memory(descriptor, tensor)
        self._memories = list(memories.values())
        self._by_kind = memories
        self._count = len(memories)
        self._arguments = (_Argument * self._count)(*[_Argument(*m) for m in memories.items()])
        self._pointer = ctypes.addressof(self._arguments)

    def __del__(self) -> None:
        if sys.is_finalizing():
            return
        for memory in self._memories:
            self._library.call("memory_destroy", memory)

    def _memory(self, descriptor: c_void_p | int, tensor: Tensor | None) -> c_void_p:
        address = None if tensor is None else tensor.data_ptr()
        return self._library.create("memory", descriptor, self._library.engine, address)

    def execute(self, x: Tensor, y: Tensor) -> None:
        """Run the primitive from x to y."""
        library = self._library
        library.set_data(self._x, x.data_ptr())
        library.set_data(self._y, y.data_ptr())
        self.run()

    def point(self, kind: int, address: int) -> None:
        """Let another operand be read from, or written to, an address."""
        self._library.set_data(self._by_kind[kind], address)

    def run(self) -> None:
        """Run the primitive on what its operands point to."""
        library = self._library
        status = library.execute(self.made.handle, library.stream, self._count, self._pointer)
        assert status == 0, f"dnnl_primitive_execute returned {status}"


class Product(Primitive):
    """y = epilogue(x * weight + bias) for uint8 x: a convolution, or without window a linear layer.

    x is (N, C, ...) in channels_last, or (N, C).
    """

    def __init__(
        self,
        library: Library,
        pool: Pool,
        *,
        x: tuple[float, int],
        weight: Tensor,
        scales: Tensor,
        bias: Tensor,
        epilogue: Epilogue,
        window: Window | None,
    ) -> None:
        super().__init__(library, pool)
        self._weight = weight.contiguous()
        self._window = window
        self._epilogue = epilogue
        self._layouts: list[tuple[c_void_p, Tensor]] = []
        if epilogue.scale is None:
            self.output_dtype = torch.float32
        one, one_int = _vector(library, 1, F32), _vector(library, 1, S32)
        row = _vector(library, len(bias), F32)
        bias_row = row if window is not None else _row(library, len(bias))
        self._constants: list[tuple[int, c_void_p | int, Tensor]] = [
            (BIAS, bias_row, bias.contiguous()),
            (SCALES | SRC, one, torch.tensor([x[0]])),
            (SCALES | WEIGHTS, row, scales.contiguous()),
            (ZERO_POINTS | SRC, one_int, torch.tensor([x[1]], dtype=torch.int32)),
        ]
        if epilogue.scale is not None:
            zero_point = torch.tensor([epilogue.zero_point], dtype=torch.int32)
            self._constants.append((SCALES | DST, one, torch.tensor([epilogue.scale])))
            self._constants.append((ZERO_POINTS | DST, one_int, zero_point))

    def _make(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> Made:
        library = self._library
        output = self._output_shape(shape)
        source = images(library, shape, U8)
        target = images(library, output, F32 if self._epilogue.scale is None else U8)
        with _Attributes(library, self._epilogue, self._scales_mask()) as attributes:
            if self._window is None:
                description = self._matmul(source, target, attributes)
            else:
                description = self._convolution(source, target, attributes, shape, output)
        weights = library.query_md(description, QUERY_WEIGHTS, 0)
        constants = (*self._constants, (WEIGHTS, weights, self._laid_out(weights)))
        handle = library.create("primitive", description)
        return Made(library, handle, description, source, target, output, constants)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        channels = self._weight.shape[0]
        if self._window is None:
            return (shape[0], channels)
        count = _windows if self._window.output_padding is None else _spread
        return (shape[0], channels, *count(shape[2:], self._weight.shape[2:], self._window))

    def _scales_mask(self) -> int:
        """Which dimensions of the weights have scales: the output channel, with its group."""
        if self._window is None:
            return 2
        return 3 if self._window.groups > 1 else 1

    def _weight_dims(self) -> tuple[list[int], list[int]]:
        """Sizes and strides of the weights in memory, in the order in which oneDNN names them."""
        shape = list(self._weight.shape)
        if self._window is None:
            return [shape[1], shape[0]], [1, shape[1]]
        groups = self._window.groups
        if groups > 1:
            shape = [groups, shape[0] // groups, *shape[1:]]
        return shape, _row_major(shape)

    def _convolution(
        self,
        source: c_void_p,
        target: c_void_p,
        attributes: c_void_p,
        shape: tuple[int, ...],
        output: tuple[int, ...],
    ) -> c_void_p:
        assert self._window is not None  # the caller checks
        library, w = self._library, self._window
        dims, _ = self._weight_dims()
        weights = _any_layout(library, dims)
        bias = _vector(library, self._weight.shape[0], F32)
        kernel = self._weight.shape[2:]
        if w.output_padding is None:
            by, algorithm = "convolution", CONVOLUTION
            after = _padding_after(shape[2:], output[2:], kernel, w)
        else:
            by, algorithm = "deconvolution", DECONVOLUTION
            after = _padding_after(output[2:], shape[2:], kernel, w)
        windows = (
            _dims(w.stride),
            _dims([d - 1 for d in w.dilation]),
            _dims(w.padding),
            _dims(after),
        )
        return library.create(
            "primitive_desc",
            library.engine,
            INFERENCE,
            algorithm,
            source,
            weights,
            bias,
            target,
            *windows,
            attributes,
            by=f"{by}_forward_primitive_desc_create",
        )

    def _matmul(self, source: c_void_p, target: c_void_p, attributes: c_void_p) -> c_void_p:
        library = self._library
        dims, _ = self._weight_dims()
        weights = _any_layout(library, dims)
        bias = strided(library, [1, dims[1]], [dims[1], 1], F32)
        return library.create(
            "primitive_desc",
            library.engine,
            source,
            weights,
            bias,
            target,
            attributes,
            by="matmul_primitive_desc_create",
        )

    def _laid_out(self, wanted: int) -> Tensor:
        """The weights in a layout; shapes that want the same share one copy."""
        library = self._library
        for layout, buffer in self._layouts:
            if library.md_equal(layout, wanted):
                return buffer
        buffer = torch.empty(library.md_size(wanted), dtype=torch.uint8)
        plain = strided(library, *self._weight_dims(), S8)
        engine = library.engine
        ends = (
            library.create("memory", plain, engine, self._weight.data_ptr()),
            library.create("memory", wanted, engine, buffer.data_ptr()),
        )
        description = library.create(
            "primitive_desc",
            plain,
            engine,
            wanted,
            engine,
            None,
            by="reorder_primitive_desc_create",
        )
        reorder = library.create("primitive", description)
        arguments = (_Argument * 2)(_Argument(SRC, ends[0]), _Argument(DST, ends[1]))
        library.call("primitive_execute", reorder, library.stream, 2, ctypes.byref(arguments))
        for memory in ends:
            library.call("memory_destroy", memory)
        library.call("primitive_destroy", reorder)
        library.call("primitive_desc_destroy", description)
        copy = library.create("memory_desc", wanted, by="memory_desc_clone")
        self._layouts.append((copy, buffer))  # `wanted` goes with its primitive, the copy stays
        return buffer


class MaxPooling(Primitive):
    """The greatest element of each window of a uint8 image in channels_last."""

    def __init__(self, library: Library, pool: Pool, kernel: Sequence[int], window: Window) -> None:
        super().__init__(library, pool)
        self._kernel = kernel
        self._window = window

    def _make(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> Made:
        library, w = self._library, self._window
        output = (*shape[:2], *_windows(shape[2:], self._kernel, w))
        source, target = images(library, shape, U8), images(library, output, U8)
        description = library.create(
            "primitive_desc",
            library.engine,
            INFERENCE,
            MAX_POOLING,
            source,
            target,
            _dims(w.stride),
            _dims(self._kernel),
            _dims([d - 1 for d in w.dilation]),
            _dims(w.padding),
            _dims(_padding_after(shape[2:], output[2:], self._kernel, w)),
            None,
            by="pooling_forward_primitive_desc_create",
        )
        handle = library.create("primitive", description)
        return Made(library, handle, description, source, target, output)


class Quantization(Primitive):
    """clamp(round(x / s) + z, 0, 255) of float32 of any layout, in channels_last or in rows."""

    def __init__(
        self, library: Library, pool: Pool, scale: float, zero_point: int, *, channels_last: bool
    ) -> None:
        super().__init__(library, pool)
        self._channels_last = channels_last
        one, one_int = _vector(library, 1, F32), _vector(library, 1, S32)
        self._constants: tuple[tuple[int, c_void_p | int, Tensor], ...] = (
            (SCALES | DST, one, torch.tensor([scale])),
            (ZERO_POINTS | DST, one_int, torch.tensor([zero_point], dtype=torch.int32)),
        )

    def _make(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> Made:
        library = self._library
        source = strided(library, shape, strides, F32)
        rows = strided(library, shape, _row_major(shape), U8)
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


class _Attributes:
    """Scales, zero points and post-operations of a primitive, for as long as it is being made."""

    def __init__(self, library: Library, epilogue: Epilogue, weights_mask: int) -> None:
        self._library = library
        self._handle = library.create("primitive_attr")
        self._post = library.create("post_ops")
        scales, zeros = "primitive_attr_set_scales_mask", "primitive_attr_set_zero_points_mask"
        library.call(scales, self._handle, SRC, 0)
        library.call(scales, self._handle, WEIGHTS, weights_mask)
        library.call(zeros, self._handle, SRC, 0)
        if epilogue.scale is not None:
            library.call(scales, self._handle, DST, 0)
            library.call(zeros, self._handle, DST, 0)
        if epilogue.residual is not None:
            library.call("post_ops_append_sum", self._post, *epilogue.residual, U8)
        for function in epilogue.functions:
            library.call("post_ops_append_eltwise", self._post, *function)
        library.call("primitive_attr_set_post_ops", self._handle, self._post)

    def __enter__(self) -> c_void_p:
        return self._handle

    def __exit__(self, *error: object) -> None:
        self._library.call("post_ops_destroy", self._post)
        self._library.call("primitive_attr_destroy", self._handle)


def _dims(sizes: Sequence[int]) -> Any:  # a C array
    return (c_int64 * len(sizes))(*sizes)


def _windows(sizes: Sequence[int], kernel: Sequence[int], w: Window) -> list[int]:
    """How many windows fit along each dimension; EngineError if none does."""
    counts = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(sizes, w.padding, w.dilation, kernel, w.stride, strict=True)
    ]
    if min(counts) < 1:
        raise too_small(sizes, kernel)
    return counts


def _spread(sizes: Sequence[int], kernel: Sequence[int], w: Window) -> list[int]:
    """The extents of a transposed convolution's result; EngineError if nothing is left of it."""
    assert w.output_padding is not None  # the caller checks
    counts = [
        (n - 1) * s - 2 * p + d * (k - 1) + more + 1
        for n, s, p, d, k, more in zip(
            sizes, w.stride, w.padding, w.dilation, kernel, w.output_padding, strict=True
        )
    ]
    if min(counts) < 1:
        raise too_small(sizes, kernel)
    return counts


def _padding_after(
    sizes: Sequence[int], windows: Sequence[int], kernel: Sequence[int], w: Window
) -> list[int]:
    """How far the last window of each dimension reaches beyond the image."""
    return [
        (m - 1) * s + d * (k - 1) + 1 - n - p
        for n, m, k, s, p, d in zip(
            sizes, windows, kernel, w.stride, w.padding, w.dilation, strict=True
        )
    ]


def _row_major(shape: Sequence[int]) -> list[int]:
    strides = [1]
    for size in reversed(shape[1:]):
        strides.insert(0, strides[0] * size)
    return strides


def strided(library: Library, sizes: Sequence[int], strides: Sequence[int], type: int) -> c_void_p:
    return library.create(
        "memory_desc",
        len(sizes),
        _dims(sizes),
        type,
        _dims(strides),
        by="memory_desc_create_with_strides",
    )


def images(library: Library, shape: tuple[int, ...], type: int) -> c_void_p:
    """(N, C, ...) in channels_last."""
    strides, step = [0] * len(shape), shape[1]
    strides[1] = 1
    for axis in (*range(len(shape) - 1, 1, -1), 0):
        strides[axis], step = step, step * shape[axis]
    return strided(library, shape, strides, type)


def _vector(library: Library, length: int, type: int) -> c_void_p:
    return strided(library, [length], [1], type)


def _row(library: Library, length: int) -> c_void_p:
    return strided(library, [1, length], [length, 1], F32)


def _any_layout(library: Library, sizes: Sequence[int]) -> c_void_p:
    """int8 weights in whatever layout the primitive likes best."""
    return library.create(
        "memory_desc", len(sizes), _dims(sizes), S8, ANY, by="memory_desc_create_with_tag"
    )
