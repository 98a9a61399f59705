"""Kernels as primitives of oneDNN, for the operators that take the time; the rest is in kernels.py.

quantize              a reorder: rounding, and the way to channels_last, in one pass
interpolate           a resampling
concat                a reorder for each part that changes its grid
conv_transpose2d      a deconvolution, but for some (defects.py)
matmul                a matrix product
mul                   of an image and a gate for each channel: a binary operation
conv2d, linear        a convolution, a matrix product
max_pool2d            a pooling
global_average_pool   a depthwise convolution whose window is the image: sum(q - z) times s_x / n
"""

from math import prod
from typing import Any

import torch
from torch import Tensor

from zeropoint import target
from zeropoint.arithmetic.qparams import QParams
from zeropoint.execute.onednn import defects, kernels, matrices
from zeropoint.execute.onednn.gate import Gate
from zeropoint.execute.onednn.joining import Joining
from zeropoint.execute.onednn.kernels import MOST_IN_INT32, Channels, Kernel, affine_of, params_of
from zeropoint.execute.onednn.layout import channels_last
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.max_pooling import MaxPooling
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.post_ops import clip, post_ops
from zeropoint.execute.onednn.primitive import SHAPES_KEPT
from zeropoint.execute.onednn.product import Epilogue, Product
from zeropoint.execute.onednn.quantization import Quantization
from zeropoint.execute.onednn.recent import Recent
from zeropoint.execute.onednn.resampling import by_onednn, interpolation
from zeropoint.execute.onednn.window import Window
from zeropoint.graph.graph import Node
from zeropoint.graph.value import UNKNOWN
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv, Convolution
from zeropoint.ops.conv_transpose import ConvTranspose
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.mul import Mul
from zeropoint.ops.pool import GlobalAveragePool, MaxPool
from zeropoint.ops.quantize import Quantize
from zeropoint.ops.reduce import Mean
from zeropoint.ops.upsample import Interpolate
from zeropoint.program.program import Program


def bind(library: Library, memory: Memory, program: Program, node: Node) -> Kernel | None:
    """The kernel of a node; None if no primitive does it."""
    op = node.op
    if isinstance(op, Quantize) and len(program.graph.values[node.output].shape) > 2:
        return _quantize(library, memory, program, node)
    if not program.is_integer(node):
        return None
    match op:
        case Conv():
            return kernels.around_defects(
                program, node, lambda conv: _conv(library, memory, program, node, conv)
            )
        case ConvTranspose() if defects.has_fast_deconvolution(op, _kernel_of(program, node)):
            return _conv(library, memory, program, node, op)
        case ConvTranspose():
            return kernels.transposed_as_conv(
                program, node, op, lambda *convolution: _conv(library, memory, *convolution)
            )
        case MatMul() if not target.cpu().pairs_saturate:
            return matrices.by_onednn(library, memory, *_grids(program, node))
        case Interpolate():
            x, y = _grids(program, node, inputs=1)
            simple = None if op.align_corners else by_onednn(library, memory, x, y)
            return interpolation(op, x, y, simple)
        case Linear():
            return _linear(library, memory, program, node)
        case MaxPool() if not op.ceil_mode and set(op.dilation) == {1}:
            window = Window(op.stride, op.padding, op.dilation, 1)
            pooling = MaxPooling(library, memory, op.kernel, window)
            return lambda x: pooling(channels_last(x))
        case Mul() if gated(program, node) is not None:
            return _gate(library, memory, program, node, op)
        case GlobalAveragePool():
            return _global_average(library, memory, program, node, op)
        case Mean() if op.axes == _inner_axes(program, node, first=2):
            return _global_average(library, memory, program, node, op)
        case Mean() if op.axes == _inner_axes(program, node, first=1):
            return _average_of_rows(library, memory, program, node, op)
        case Concat() if _is_whole(program, node):
            return _concat(library, memory, program, node, op)
    return None


def _kernel_of(program: Program, node: Node) -> tuple[int, ...]:
    return tuple(program.graph.constants[node.inputs[1]].shape[2:])


def _grids(program: Program, node: Node, inputs: int = 2) -> tuple[QParams, ...]:
    """Those of the first operands and of the result."""
    return tuple(params_of(program, name) for name in (*node.inputs[:inputs], node.output))


def _inner_axes(program: Program, node: Node, *, first: int) -> tuple[int, ...]:
    """Every axis but two: the batch, and the channels before them or behind them."""
    rank = len(program.graph.values[node.inputs[0]].shape)
    return tuple(range(first, rank + first - 2)) if rank > 2 else ()


def _is_whole(program: Program, node: Node) -> bool:
    """True for tensors of three dimensions and more on a grid of all 256 codes."""
    rank = len(program.graph.values[node.output].shape)
    return rank > 2 and params_of(program, node.output).high == 255


def _concat(library: Library, memory: Memory, program: Program, node: Node, op: Concat) -> Kernel:
    to = params_of(program, node.output)
    parts = [
        None if params_of(program, name) == to else affine_of(program, name) for name in node.inputs
    ]
    return Joining(library, memory, op.axis, parts, affine_of(program, node.output))


def _average_of_rows(
    library: Library, memory: Memory, program: Program, node: Node, op: Mean
) -> Kernel:
    """The mean of (N, ..., C) as one of the image (N, C, ...) that it is in channels_last."""
    average = _global_average(library, memory, program, node, op)
    keep = op.keep

    def kernel(x: Tensor) -> Tensor:
        y: Tensor = average(x.movedim(-1, 1))
        return y.movedim(1, -1) if keep else y

    return kernel


def gated(program: Program, node: Node) -> tuple[str, str] | None:
    """The image and the gate (N, C, 1, 1) of a product; None if it has other operands."""
    values = [program.graph.values[name] for name in node.inputs]
    for image, gate in (values, values[::-1]):
        if len(image.shape) == len(gate.shape) == 4 and image.shape != gate.shape:
            batch, channels, *_ = image.shape
            known = batch != UNKNOWN and isinstance(channels, int)
            if known and gate.shape == (batch, channels, 1, 1):
                return image.name, gate.name
    return None


def _gate(library: Library, memory: Memory, program: Program, node: Node, op: Mul) -> Kernel:
    found = gated(program, node)
    assert found is not None  # the caller checks
    (x_scale, x_zero), (gate_scale, gate_zero) = (affine_of(program, name) for name in found)
    scale, zero_point = affine_of(program, node.output)
    multiplier = x_scale * gate_scale / scale
    low, high = real_bounds(op.low, op.high, params_of(program, node.output))
    gate = Gate(
        library,
        memory,
        channels=int(program.graph.values[found[0]].shape[1]),
        zero_points=(x_zero, zero_point),
        bounds=() if (low, high) == (0, 255) else (clip(float(low), float(high)),),
    )
    image_first = found[0] == node.inputs[0]

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        image, factors = (a, b) if image_first else (b, a)
        steps = factors.flatten(1).to(torch.int32).sub_(gate_zero)
        return gate.times(channels_last(image), (steps * multiplier).contiguous())

    return kernel


def _quantize(library: Library, memory: Memory, program: Program, node: Node) -> Kernel:
    becomes_image = kernels.becomes_image(program, node)
    affine = affine_of(program, node.output)
    quantization = Quantization(library, memory, *affine, channels_last=becomes_image)
    high = params_of(program, node.output).high

    def kernel(x: Tensor) -> Tensor:
        onto = None if becomes_image else torch.empty(x.shape, dtype=torch.uint8)
        q = quantization(_dense(x), onto)
        return q if high == 255 else q.clamp_(max=high)

    return kernel


def _dense(x: Tensor) -> Tensor:
    """x, or a copy of a view that oneDNN may not describe: rows that overlap, for example."""
    dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
    return x if dense else x.contiguous()


def _conv(
    library: Library, memory: Memory, program: Program, node: Node, op: Convolution
) -> Kernel:
    more = op.output_padding if isinstance(op, ConvTranspose) else None
    window = Window(op.stride, op.padding, op.dilation, op.groups, more)
    weight = program.graph.constants[node.inputs[1]]
    product = _product(library, memory, program, node, op, weight, window)
    if post_ops(op.function) is None:
        return kernels.finished_in_float(program, node, op, lambda x: product(channels_last(x)))
    if len(node.inputs) == 3:
        return lambda x: product(channels_last(x))
    exact = kernels.exact_conv(program, node, op)

    def kernel(x: Tensor, onto: Tensor) -> Any:
        image = channels_last(x)
        if onto.shape != product.result_shape(image):
            return exact(image, onto)  # broadcasts, or refuses
        return product(image, channels_last(onto))

    return kernel


def _linear(library: Library, memory: Memory, program: Program, node: Node) -> Kernel:
    op = node.op
    assert isinstance(op, Linear)  # the caller checks
    weight = kernels.linear_weight(program, node)
    product = _product(library, memory, program, node, op, weight, None)
    if len(program.graph.values[node.inputs[0]].shape) == 2 and post_ops(op.function) is not None:
        return lambda x: product(x.contiguous())

    def kernel(x: Tensor) -> Tensor:
        rows = product(x.reshape(-1, x.shape[-1]).contiguous())
        return rows.reshape(*x.shape[:-1], rows.shape[-1])

    if post_ops(op.function) is None:
        return kernels.finished_in_float(program, node, op, kernel)
    return kernel


def _product(
    library: Library,
    memory: Memory,
    program: Program,
    node: Node,
    op: kernels.Layer,
    weight: Tensor,
    window: Window | None,
) -> Product:
    own = Channels.of(program, node)
    return Product(
        library,
        memory,
        x=affine_of(program, node.inputs[0]),
        weight=weight,
        scales=own.scales,
        bias=own.bias,
        epilogue=_epilogue(program, node, op),
        window=window,
    )


def _epilogue(program: Program, node: Node, op: kernels.Layer) -> Epilogue:
    """What follows the accumulator; nothing, if the function is none that oneDNN knows."""
    functions = post_ops(op.function)
    to = kernels.Epilogue.of(op, params_of(program, node.output), known=kernels.ALL_POST_OPS)
    if functions is None or to.dtype == torch.float32:
        return Epilogue(None, 0, (), None)
    if to.attr != "none":
        functions += (clip(0.0, None) if to.attr == "relu" else clip(*to.scalars),)
    residual = affine_of(program, node.inputs[3]) if len(node.inputs) == 4 else None
    return Epilogue(to.scale, to.zero_point, functions, residual)


def _global_average(
    library: Library, memory: Memory, program: Program, node: Node, op: GlobalAveragePool | Mean
) -> Kernel:
    out = params_of(program, node.output)
    scale, zero_point = affine_of(program, node.output)
    limit = () if out.high == 255 else (clip(None, (out.high - zero_point) * scale),)
    epilogue = Epilogue(scale, zero_point, limit, None)
    products: Recent[tuple[int, ...], Product] = Recent(SHAPES_KEPT)
    rank = len(program.graph.values[node.inputs[0]].shape) - 2  # and as many inner axes
    ones, zeros = (1,) * rank, (0,) * rank

    of_any_size = kernels.mean(program, node, tuple(range(2, rank + 2)), op.keep)

    def made(channels: int, sizes: tuple[int, ...]) -> Product:
        return Product(
            library,
            memory,
            x=affine_of(program, node.inputs[0]),
            weight=torch.ones(channels, 1, *sizes, dtype=torch.int8),
            scales=torch.full((channels,), 1 / prod(sizes)),
            bias=torch.zeros(channels),
            epilogue=epilogue,
            window=Window(ones, zeros, ones, channels),
        )

    def kernel(x: Tensor) -> Tensor:
        _, channels, *sizes = x.shape
        if not x.numel() or prod(sizes) > MOST_IN_INT32:
            whole: Tensor = of_any_size(x)
            return whole
        of_these = products.get((channels, *sizes), lambda: made(channels, tuple(sizes)))
        y: Tensor = of_these(channels_last(x))
        return y if op.keep else y.flatten(1)

    return kernel
