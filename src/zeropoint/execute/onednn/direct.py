"""Kernels as primitives of oneDNN, for the operators that take the time; the rest is in kernels.py.

quantize              a reorder: rounding, and the way to channels_last, in one pass
conv2d, linear        a convolution, a matrix product
max_pool2d            a pooling
global_average_pool   a depthwise convolution whose window is the image: sum(q - z) times s_x / n
"""

import torch
from torch import Tensor

from zeropoint.execute.onednn import kernels
from zeropoint.execute.onednn.kernels import FRESH, Channels, Kernel, affine_of, params_of
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.primitive import (
    Epilogue,
    MaxPooling,
    Pool,
    Product,
    Quantization,
    Window,
)
from zeropoint.graph.graph import Node
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.pool import AveragePool2d, GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.program.program import Program

POOLED = (Conv2d, MaxPool2d, Quantize)
"""Operators that take the memory of their result from the pool."""

COPYING = (*FRESH, Dequantize, GlobalAveragePool, AveragePool2d)
"""Operators whose result never shares memory with their operand."""


def bind(library: Library, pool: Pool, program: Program, node: Node) -> Kernel | None:
    """The kernel of a node; None if no primitive does it."""
    op = node.op
    if isinstance(op, Quantize) and len(program.graph.values[node.output].shape) == 4:
        return _quantize(library, pool, program, node)
    if not program.is_integer(node):
        return None
    match op:
        case Conv2d():
            return kernels.around_defects(
                program, node, lambda conv: _conv(library, pool, program, node, conv)
            )
        case Linear():
            return _linear(library, pool, program, node)
        case MaxPool2d() if not op.ceil_mode and op.dilation == (1, 1):
            window = Window(op.stride, op.padding, op.dilation, 1)
            pooling = MaxPooling(library, pool, op.kernel, window)
            return lambda x: pooling(_images(x))
        case GlobalAveragePool():
            return _global_average(library, pool, program, node, op)
    return None


def is_reusable(program: Program, name: str) -> bool:
    """True if the memory of a value is free once its last reader is done."""
    writer = program.graph.producers.get(name)
    params = program.graph.values[name].params
    return (
        writer is not None
        and isinstance(writer.op, POOLED)
        and params is not None
        and params.type.storage == torch.uint8
        and len(program.graph.values[name].shape) == 4
        and name not in program.graph.outputs
        and all(_only_reads(program, user, name) for user in program.graph.users[name])
    )


def _only_reads(program: Program, user: Node, name: str) -> bool:
    overwritten = (
        isinstance(user.op, Conv2d)
        and program.is_integer(user)
        and len(user.inputs) == 4
        and user.inputs[3] == name
    )
    return isinstance(user.op, COPYING) and not overwritten


def _images(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _quantize(library: Library, pool: Pool, program: Program, node: Node) -> Kernel:
    quantization = Quantization(library, pool, *affine_of(program, node.output))
    high = params_of(program, node.output).high
    if high == 255:
        return lambda x: quantization(_dense(x))
    return lambda x: quantization(_dense(x)).clamp_(max=high)


def _dense(x: Tensor) -> Tensor:
    """x, or a copy of a view that oneDNN may not describe: rows that overlap, for example."""
    dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
    return x if dense else x.contiguous()


def _conv(library: Library, pool: Pool, program: Program, node: Node, op: Conv2d) -> Kernel:
    window = Window(op.stride, op.padding, op.dilation, op.groups)
    weight = program.graph.constants[node.inputs[1]]
    product = _product(library, pool, program, node, op, weight, window)
    if len(node.inputs) == 3:
        return lambda x: product(_images(x))
    overwrite = kernels.may_overwrite(program, node)

    def kernel(x: Tensor, onto: Tensor) -> Tensor:
        if overwrite:
            return product(_images(x), _images(onto))
        return product(_images(x), onto.clone(memory_format=torch.channels_last))

    return kernel


def _linear(library: Library, pool: Pool, program: Program, node: Node) -> Kernel:
    op = node.op
    assert isinstance(op, Linear)  # the caller checks
    weight = kernels.linear_weight(program, node)
    product = _product(library, pool, program, node, op, weight, None)
    if len(program.graph.values[node.inputs[0]].shape) == 2:
        return lambda x: product(x.contiguous())

    def kernel(x: Tensor) -> Tensor:
        rows = product(x.reshape(-1, x.shape[-1]).contiguous())
        return rows.reshape(*x.shape[:-1], -1)

    return kernel


def _product(
    library: Library,
    pool: Pool,
    program: Program,
    node: Node,
    op: Conv2d | Linear,
    weight: Tensor,
    window: Window | None,
) -> Product:
    own = Channels.of(program, node)
    to = kernels.Epilogue.of(op, params_of(program, node.output), has_hardtanh=True)
    low, high = {"none": (None, None), "relu": (0.0, None)}.get(to.attr, tuple(to.scalars))
    scale = to.scale if to.dtype == torch.uint8 else None
    residual = affine_of(program, node.inputs[3]) if len(node.inputs) == 4 else None
    return Product(
        library,
        pool,
        x=affine_of(program, node.inputs[0]),
        weight=weight,
        scales=own.scales,
        bias=own.bias,
        epilogue=Epilogue(scale, to.zero_point, low, high, residual),
        window=window,
    )


def _global_average(
    library: Library, pool: Pool, program: Program, node: Node, op: GlobalAveragePool
) -> Kernel:
    out = params_of(program, node.output)
    scale, zero_point = affine_of(program, node.output)
    limit = None if out.high == 255 else (out.high - zero_point) * scale
    epilogue = Epilogue(scale, zero_point, None, limit, None)
    products: dict[tuple[int, ...], Product] = {}

    def kernel(x: Tensor) -> Tensor:
        _, channels, height, width = x.shape
        product = products.get((height, width))
        if product is None:
            product = products[(height, width)] = Product(
                library,
                pool,
                x=affine_of(program, node.inputs[0]),
                weight=torch.ones(channels, 1, height, width, dtype=torch.int8),
                scales=torch.full((channels,), 1 / (height * width)),
                bias=torch.zeros(channels),
                epilogue=epilogue,
                window=Window((1, 1), (0, 0), (1, 1), channels),
            )
        mean = product(_images(x))
        return mean if op.keep else mean.flatten(1)

    return kernel
