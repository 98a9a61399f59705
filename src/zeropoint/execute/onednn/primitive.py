"""oneDNN primitives: made once for a shape, then executed.

The addresses of input, output and scratchpad are set before each execution; all other memory never
moves. No address reaches oneDNN before `Primitive` has seen that the tensor is what was described.
"""

import ctypes
import threading
from abc import ABC, abstractmethod
from ctypes import c_int, c_void_p
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.execute.onednn.layout import empty
from zeropoint.execute.onednn.library import Handle, Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.recent import Recent

INFERENCE = 96
SRC, DST, WEIGHTS, BIAS, SCRATCHPAD, SCALES, ZERO_POINTS = 1, 17, 33, 41, 80, 4096, 8192
QUERY_SCRATCHPAD = 136

SHAPES_KEPT = 32
"""Primitives are kept for so many input shapes; then those of the least recent go."""


class Argument(ctypes.Structure):
    _fields_ = (("kind", c_int), ("memory", c_void_p))


@dataclass(frozen=True)
class Made:
    """A primitive for one shape: descriptors of both ends, and the memories that never move."""

    handle: Handle
    description: Handle
    source: Handle
    target: Handle
    output_shape: tuple[int, ...]
    constants: tuple[tuple[int, Handle | int, Tensor], ...] = ()


class Primitive(ABC):
    """One input, one output; a primitive for each shape that comes. Threads may share it."""

    output_dtype: torch.dtype = torch.uint8

    def __init__(self, library: Library, memory: Memory) -> None:
        self._library = library
        self._memory = memory
        self._threads = threading.local()
        self._made: Recent[tuple[int, ...], Made] = Recent(SHAPES_KEPT)

    @abstractmethod
    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the result; EngineError if inputs of that shape have none."""

    @abstractmethod
    def _fits(self, x: Tensor) -> bool:
        """True if the descriptors of `_make` say where the elements of x lie."""

    @abstractmethod
    def _make(
        self, shape: tuple[int, ...], strides: tuple[int, ...], output: tuple[int, ...]
    ) -> Made:
        """The primitive for inputs of that shape and these strides; neither end is empty."""

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """The result; written onto the residual `onto` if there is one."""
        bound = self._bound(x)
        if bound is None:
            return self._nothing(tuple(x.shape))
        shape = bound.made.output_shape
        if onto is None:
            onto = self._output(shape)
        elif onto.shape != shape:
            raise EngineError(f"a sum of tensors of shape {shape} and {tuple(onto.shape)}")
        bound.execute(x, onto)
        return onto

    def result_shape(self, x: Tensor) -> tuple[int, ...]:
        """The shape of the result for x."""
        bound = self._bound(x)
        return self._output_shape(tuple(x.shape)) if bound is None else bound.made.output_shape

    def _output(self, shape: tuple[int, ...]) -> Tensor:
        if len(shape) > 2 and self.output_dtype == torch.uint8:
            return self._memory.take(shape)
        return empty(shape, self.output_dtype)

    def _nothing(self, shape: tuple[int, ...]) -> Tensor:
        """The result for an input without elements: oneDNN divides by their number."""
        output = self._output_shape(shape)
        if prod(output):
            raise EngineError(f"a tensor of shape {shape} has no elements to compute with")
        return empty(output, self.output_dtype)

    def _bound(self, x: Tensor) -> "_Bound | None":
        """The memory objects of this thread for inputs like x; None if there is nothing to do.

        Whatever oneDNN will be told of x is checked here, before it sees an address.
        """
        strides = x.stride()
        key = (*x.shape, *strides, torch.get_num_threads())  # primitives divide work once
        mine: Recent[tuple[int, ...], _Bound | None] | None
        mine = getattr(self._threads, "bound", None)
        if mine is None:
            mine = self._threads.bound = Recent(SHAPES_KEPT)
        return mine.get(key, lambda: self._bind(key, x))

    def _bind(self, key: tuple[int, ...], x: Tensor) -> "_Bound | None":
        shape = tuple(x.shape)
        if not x.numel():
            return None
        assert self._fits(x), f"{type(self).__name__} got {shape} with strides {x.stride()}"
        output = self._output_shape(shape)
        if not prod(output):
            return None
        made = self._made.get(key, lambda: self._make(shape, x.stride(), output))
        return _Bound(self._library, made, self._memory)


class _Bound:
    """A primitive with one thread's memory objects."""

    def __init__(self, library: Library, made: Made, memory: Memory) -> None:
        self._library, self.made, self._scratch = library, made, memory.scratch
        self._x, self._y = self._object(made.source, None), self._object(made.target, None)
        objects = {SRC: self._x, DST: self._y}
        for kind, descriptor, tensor in made.constants:
            objects[kind] = self._object(descriptor, tensor)
        needed = library.query_md(made.description, QUERY_SCRATCHPAD, 0)
        self._scratch_size = library.md_size(needed) if needed else 0
        if self._scratch_size:
            objects[SCRATCHPAD] = self._object(needed, None)
        self._by_kind = objects
        self._count = len(objects)
        self._arguments = (Argument * self._count)(*[Argument(*m) for m in objects.items()])
        self._pointer = ctypes.addressof(self._arguments)

    def _object(self, descriptor: Handle | int, tensor: Tensor | None) -> Handle:
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
        if self._scratch_size:
            library.set_data(self._by_kind[SCRATCHPAD], self._scratch(self._scratch_size))
        status = library.execute(self.made.handle, library.stream, self._count, self._pointer)
        assert status == 0, f"dnnl_primitive_execute returned {status}"
