"""Convolutions and linear layers as oneDNN primitives, with all that follows the accumulator.

The weights are reordered once into the layout that the primitive asks for. The arithmetic is that
of `torch.ops.onednn`, which makes the same primitive at every call.
"""

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.execute.onednn.attributes import Attributes
from zeropoint.execute.onednn.descriptors import (
    F32,
    S8,
    S32,
    U8,
    any_layout,
    c_array,
    images,
    one_row,
    row_major,
    strided,
    vector,
)
from zeropoint.execute.onednn.layout import is_channels_last
from zeropoint.execute.onednn.library import Handle, Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.post_ops import PostOp
from zeropoint.execute.onednn.primitive import (
    BIAS,
    DST,
    INFERENCE,
    SCALES,
    SRC,
    WEIGHTS,
    ZERO_POINTS,
    Argument,
    Made,
    Primitive,
)
from zeropoint.execute.onednn.window import Window, padding_after, spread, windows

CONVOLUTION, DECONVOLUTION = 1, 10
QUERY_WEIGHTS = 131

LAYOUTS = 4
"""The weights are kept in so many layouts, and in those of primitives that are kept."""


@dataclass(frozen=True)
class Epilogue:
    """What follows the accumulator: a residual, functions of the sum, the grid of the output.

    `scale` None leaves float32.
    """

    scale: float | None
    zero_point: int
    functions: tuple[PostOp, ...]
    residual: tuple[float, int] | None


class Product(Primitive):
    """y = epilogue(x * weight + bias) for uint8 x: a convolution, or without window a linear layer.

    x is (N, C, ...) in channels_last, or (N, C).
    """

    def __init__(
        self,
        library: Library,
        memory: Memory,
        *,
        x: tuple[float, int],
        weight: Tensor,
        scales: Tensor,
        bias: Tensor,
        epilogue: Epilogue,
        window: Window | None,
    ) -> None:
        super().__init__(library, memory)
        self._weight = weight.contiguous()
        self._window = window
        self._epilogue = epilogue
        self._layouts: list[tuple[Handle, Tensor]] = []
        if epilogue.scale is None:
            self.output_dtype = torch.float32
        one, one_int = vector(library, 1, F32), vector(library, 1, S32)
        row = vector(library, len(bias), F32)
        bias_row = row if window is not None else one_row(library, len(bias))
        self._constants: list[tuple[int, Handle | int, Tensor]] = [
            (BIAS, bias_row, bias.contiguous()),
            (SCALES | SRC, one, torch.tensor([x[0]])),
            (SCALES | WEIGHTS, row, scales.contiguous()),
            (ZERO_POINTS | SRC, one_int, torch.tensor([x[1]], dtype=torch.int32)),
        ]
        if epilogue.scale is not None:
            zero_point = torch.tensor([epilogue.zero_point], dtype=torch.int32)
            self._constants.append((SCALES | DST, one, torch.tensor([epilogue.scale])))
            self._constants.append((ZERO_POINTS | DST, one_int, zero_point))

    def _fits(self, x: Tensor) -> bool:
        rank = 2 if self._window is None else self._weight.ndim
        return x.ndim == rank and is_channels_last(x)

    def _make(
        self, shape: tuple[int, ...], strides: tuple[int, ...], output: tuple[int, ...]
    ) -> Made:
        library = self._library
        source = images(library, shape, U8)
        target = images(library, output, F32 if self._epilogue.scale is None else U8)
        attributes = self._attributes()
        if self._window is None:
            description = self._matmul(source, target, attributes)
        else:
            description = self._convolution(source, target, attributes, shape, output)
        weights = library.query_md(description, QUERY_WEIGHTS, 0)
        constants = (*self._constants, (WEIGHTS, weights, self._laid_out(weights)))
        handle = library.create("primitive", description)
        return Made(handle, description, source, target, output, constants)

    def _attributes(self) -> Attributes:
        attributes, epilogue = Attributes(self._library), self._epilogue
        attributes.grid(SRC)
        attributes.scales(WEIGHTS, self._scales_mask())
        if epilogue.scale is not None:
            attributes.grid(DST)
        if epilogue.residual is not None:
            attributes.post_op("sum", *epilogue.residual, U8)
        attributes.functions(epilogue.functions)
        return attributes

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        channels, groups = self._weight.shape[0], 1 if self._window is None else self._window.groups
        if shape[1] != self._weight.shape[1] * groups:
            raise EngineError(
                f"a tensor of shape {shape} for {self._weight.shape[1] * groups} channels"
            )
        if self._window is None:
            return (shape[0], channels)
        count = windows if self._window.output_padding is None else spread
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
        return shape, row_major(shape)

    def _convolution(
        self,
        source: Handle,
        target: Handle,
        attributes: Attributes,
        shape: tuple[int, ...],
        output: tuple[int, ...],
    ) -> Handle:
        assert self._window is not None  # the caller checks
        library, w = self._library, self._window
        dims, _ = self._weight_dims()
        weights = any_layout(library, dims)
        bias = vector(library, self._weight.shape[0], F32)
        kernel = self._weight.shape[2:]
        if w.output_padding is None:
            by, algorithm = "convolution", CONVOLUTION
            after = padding_after(shape[2:], output[2:], kernel, w)
        else:
            by, algorithm = "deconvolution", DECONVOLUTION
            after = padding_after(output[2:], shape[2:], kernel, w)
        windows = (
            c_array(w.stride),
            c_array([d - 1 for d in w.dilation]),
            c_array(w.padding),
            c_array(after),
        )
        return attributes.description(
            f"{by}_forward",
            library.engine,
            INFERENCE,
            algorithm,
            source,
            weights,
            bias,
            target,
            *windows,
        )

    def _matmul(self, source: Handle, target: Handle, attributes: Attributes) -> Handle:
        library = self._library
        dims, _ = self._weight_dims()
        weights = any_layout(library, dims)
        bias = strided(library, [1, dims[1]], [dims[1], 1], F32)
        return attributes.description("matmul", library.engine, source, weights, bias, target)

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
        arguments = (Argument * 2)(Argument(SRC, ends[0]), Argument(DST, ends[1]))
        library.call("primitive_execute", reorder, library.stream, 2, ctypes.byref(arguments))
        copy = library.create("memory_desc", wanted, by="memory_desc_clone")
        del self._layouts[: -LAYOUTS + 1]
        self._layouts.append((copy, buffer))  # `wanted` goes with its primitive, the copy stays
        return buffer
