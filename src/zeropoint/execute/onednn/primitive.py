"""oneDNN primitives: made once for a shape, then executed.

The addresses of input and output are set before each execution; all other memory never moves.
"""

import ctypes
import sys
import threading
from abc import ABC, abstractmethod
from ctypes import c_int, c_void_p
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.execute.onednn.layout import empty
from zeropoint.execute.onednn.library import Library

INFERENCE = 96
SRC, DST, WEIGHTS, BIAS, SCRATCHPAD, SCALES, ZERO_POINTS = 1, 17, 33, 41, 80, 4096, 8192
QUERY_SCRATCHPAD = 136

SHAPES_KEPT = 64
"""Primitives are kept for so many input shapes; then all are made anew as they come."""


class Argument(ctypes.Structure):
    _fields_ = (("kind", c_int), ("memory", c_void_p))


class Pool(threading.local):
    """Memory of results that nobody needs any more, by shape: one such pool a thread.

    Fresh memory costs a page fault every 4096 bytes; memory that was just written is in the cache.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[int, ...], list[Tensor]] = {}
        self._inputs: tuple[tuple[int, ...], ...] = ()
        self._scratch = torch.empty(0, dtype=torch.uint8)

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

    def scratch(self, size: int) -> Tensor:
        """Bytes that any primitive of this thread may write to while it runs."""
        if len(self._scratch) < size:
            self._scratch = torch.empty(size, dtype=torch.uint8)
        return self._scratch

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
            found = mine[key] = _Bound(self._library, made, self._pool)
        return found


class _Bound:
    """A primitive with one thread's memory objects."""

    def __init__(self, library: Library, made: Made, pool: Pool) -> None:
        self._library, self.made = library, made
        self._x, self._y = self._memory(made.source, None), self._memory(made.target, None)
        memories = {SRC: self._x, DST: self._y}
        for kind, descriptor, tensor in made.constants:
            memories[kind] = self._memory(descriptor, tensor)
        needed = library.query_md(made.description, QUERY_SCRATCHPAD, 0)
        if needed and library.md_size(needed):
            self._scratch = pool.scratch(library.md_size(needed))
            memories[SCRATCHPAD] = self._memory(needed, self._scratch)
        self._memories = list(memories.values())
        self._by_kind = memories
        self._count = len(memories)
        self._arguments = (Argument * self._count)(*[Argument(*m) for m in memories.items()])
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
