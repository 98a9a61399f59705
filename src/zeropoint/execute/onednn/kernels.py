"""One kernel for each node: what is known beforehand is bound into it, what is left is called.

Decided here, once: prepacked weights, float32 biases, whether an activation is free (saturation
does it), fused (a post-operation) or a clamp, which accumulators leave as float32, and the order of
a linear layer's columns after a flatten. The kernel of a convolution with a residual may write onto
its last operand; the others only read theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, dequantize
from zeropoint.arithmetic.requantize import Float32
from zeropoint.errors import EngineError
from zeropoint.execute.onednn import defects, elementwise, matrices
from zeropoint.execute.onednn.elementwise import Affine
from zeropoint.execute.onednn.layout import channels_last
from zeropoint.execute.onednn.lookup import lookup
from zeropoint.execute.onednn.pixels import pixel_shuffle
from zeropoint.execute.onednn.pooling import max_pool
from zeropoint.execute.onednn.resampling import by_torch, interpolation
from zeropoint.execute.onednn.transposed import as_convolution, spread
from zeropoint.execute.onednn.window import Window, windows
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv, Convolution
from zeropoint.ops.conv_transpose import ConvTranspose
from zeropoint.ops.epilogue import finished_real
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.mul import Mul
from zeropoint.ops.onednn_defects import may_miscount, may_see_only_padding
from zeropoint.ops.permute import Permute
from zeropoint.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.reduce import Mean
from zeropoint.ops.shape import Flatten, Reshape
from zeropoint.ops.shuffle import PixelShuffle
from zeropoint.ops.table import Table
from zeropoint.ops.upsample import Interpolate
from zeropoint.program.program import Program

Kernel = Callable[..., Any]
Layer = Convolution | Linear


def bind(program: Program, node: Node, shapes: Mapping[str, Sequence[int]]) -> Kernel:
    """The kernel of a node, to be called with its operands less the weights and biases.

    `shapes` are those that the operands will probably have, as far as they are known.
    """
    op = node.op
    match op:
        case PixelShuffle() if _leaves_few_channels(program, node):
            return lambda x: pixel_shuffle(x, op.factor)
        case Quantize():
            return _quantize(program, node)
        case Dequantize():
            scale, zero_point = affine_of(program, node.inputs[0])
            return lambda q: elementwise.dequantize(q, scale, zero_point)
    if not isinstance(op, IntegerOp) or not program.is_integer(node):
        return op.run
    match op:
        case Conv():
            return around_defects(program, node, lambda conv: _conv(program, node, conv, shapes))
        case ConvTranspose():
            return transposed_as_conv(program, node, op, _convolved)
        case Linear():
            return _linear(program, node, op)
        case MatMul():
            return matrices.by_torch(*[params_of(program, name) for name in ends(node)])
        case MaxPool():
            return lambda x: max_pool(x, op)
        case GlobalAveragePool():
            inner = tuple(range(2, len(program.graph.values[node.inputs[0]].shape)))
            return mean(program, node, inner, op.keep)
        case Mean():
            return mean(program, node, op.axes, op.keep)
        case AveragePool():
            return _average(program, node, op)
        case Interpolate():
            x, y = (params_of(program, name) for name in (node.inputs[0], node.output))
            return interpolation(op, x, y, by_torch(op, x, y))
        case Add():
            return _add(program, node, op)
        case Mul():
            return _mul(program, node, op)
        case Maximum() | Minimum():
            return _extreme(program, node, op)
        case Table():
            x, y = params_of(program, node.inputs[0]), params_of(program, node.output)
            return lookup(op.entries(x, y))
        case Concat():
            return _concat(program, node, op)
        case Requantize():
            move = _move(program, node.inputs[0], node.output)
            return move or torch.clone
        case Clamp():
            low, high = real_bounds(op.low, op.high, params_of(program, node.output))
            return lambda q: q.clamp(low, high)
        case Flatten() if _feeds_only_linear(program, node):
            return lambda x: x.permute(0, 2, 3, 1).flatten(1)  # a view of channels_last memory
    return _by_reference(program, node, op)


FEW_CHANNELS = 4

MOST_IN_INT32 = (1 << 31) // 256
"""As many 8-bit codes have a sum that int32 holds."""


def _leaves_few_channels(program: Program, node: Node) -> bool:
    """True for the end of a super-resolution network: there torch takes twice the time."""
    channels = program.graph.values[node.output].shape[1]
    return isinstance(channels, int) and channels <= FEW_CHANNELS


def leaves_as_float(program: Program, node: Node) -> bool:
    """True for the dequantization of an accumulator: the layer before it writes float32 already."""
    return isinstance(node.op, Dequantize) and params_of(program, node.inputs[0]).type.bits == 32


def params_of(program: Program, name: str) -> QParams:
    params = program.graph.values[name].params
    assert params is not None  # callers ask for quantized values
    return params


def affine_of(program: Program, name: str) -> Affine:
    params = params_of(program, name)
    return params.scale.item(), int(params.zero_point.item())


def _by_reference(program: Program, node: Node, op: IntegerOp) -> Kernel:
    """The integer form itself: for rare operators, and for those that only move integers."""
    signature, arithmetic = program.signature(node), Float32()
    return lambda *inputs: op.run_integer(inputs, signature, arithmetic)


def _quantize(program: Program, node: Node) -> Kernel:
    narrow = _narrowing(params_of(program, node.output))
    return (lambda x: channels_last(narrow(x))) if becomes_image(program, node) else narrow


ROW_READERS = (MatMul, Linear, Permute, Reshape)
"""They want the last dimension side by side in memory, or are done with one before them."""


def becomes_image(program: Program, node: Node) -> bool:
    """True if channels_last is how the readers of a node's result want it."""
    rank = len(program.graph.values[node.output].shape)
    readers = [user.op for user in program.graph.users[node.output]]
    if rank == 3:  # lines or rows
        return any(isinstance(op, Convolution) for op in readers)
    return rank > 3 and not all(isinstance(op, ROW_READERS) for op in readers)


@dataclass(frozen=True)
class Epilogue:
    """What follows an accumulator: where it goes, and how it is kept within bounds.

    `attr` and `scalars` name the kernel's post-operation: "none" where saturation alone does it,
    "relu", or "hardtanh" with real bounds. `bounds` are for a kernel that knows no such operation:
    integers, afterwards. A function of the accumulator comes before all that.
    """

    scale: float
    zero_point: int
    dtype: torch.dtype
    attr: str
    scalars: list[float]
    bounds: tuple[int, int] | None

    @classmethod
    def of(cls, op: Layer, out: QParams, *, known: tuple[str, ...]) -> "Epilogue":
        if out.type.bits == 32:
            return REAL
        scale, zero_point = out.scale.item(), int(out.zero_point.item())
        low, high = real_bounds(op.low, op.high, out)
        target = (scale, zero_point, torch.uint8)
        if (low, high) == (0, 255):
            return cls(*target, "none", [], None)
        if (low, high) == (zero_point, 255) and "relu" in known:
            return cls(*target, "relu", [], None)
        if "hardtanh" in known:
            real = [(low - zero_point) * scale, (high - zero_point) * scale]
            return cls(*target, "hardtanh", real, None)
        return cls(*target, "none", [], (low, high))


REAL = Epilogue(1.0, 0, torch.float32, "none", [], None)
"""The accumulator as a real number."""

ALL_POST_OPS = ("relu", "hardtanh")
POST_OPS_OF_CONV: Mapping[int, tuple[str, ...]] = {1: ("relu",), 2: ALL_POST_OPS, 3: ()}
"""What torch's operator knows, by the number of spatial dimensions."""


@dataclass(frozen=True)
class Channels:
    """What a convolution or linear kernel reads besides its input, per output channel."""

    scales: Tensor
    zero_points: Tensor
    bias: Tensor

    @classmethod
    def of(cls, program: Program, node: Node) -> "Channels":
        _, weight, bias = node.inputs[:3]
        q = program.graph.constants[bias]
        scales = params_of(program, weight).scale.expand(len(q)).contiguous()
        real_bias = q.to(torch.float32) * params_of(program, bias).scale
        return cls(scales, torch.zeros(len(q), dtype=torch.int64), real_bias)


def around_defects(program: Program, node: Node, make: Callable[[Conv], Kernel]) -> Kernel:
    """The kernel that `make` binds for a convolution, kept away from the defects of oneDNN."""
    op, weight = node.op, program.graph.constants[node.inputs[1]].shape
    assert isinstance(op, Conv)  # callers pass convolutions
    if may_see_only_padding(op, weight[2:]):
        _, zero_point = affine_of(program, node.inputs[0])
        unpadded = make(replace(op, padding=(0,) * len(op.padding)))
        kernel = defects.padding_first(unpadded, op.padding, zero_point)
    else:
        kernel = make(op)
    if not may_miscount(op, weight):
        return kernel
    return defects.unless_one_column(kernel, exact_conv(program, node, op), op, weight)


def exact_conv(program: Program, node: Node, op: Convolution) -> Kernel:
    """The integer form, called like the kernel."""
    weight, bias = (program.graph.constants[name] for name in node.inputs[1:3])
    signature, arithmetic = program.signature(node), Float32()

    def kernel(image: Tensor, *addend: Tensor) -> Tensor:
        y = op.run_integer((image, weight, bias, *addend), signature, arithmetic)
        return dequantize(y, signature.output) if signature.output.type.bits == 32 else y

    return kernel


def _conv(program: Program, node: Node, op: Conv, shapes: Mapping[str, Sequence[int]]) -> Kernel:
    # An image that is padded beforehand (`op` is not the node's) has not the shape of the operand.
    shape = shapes.get(node.inputs[0]) if op == node.op else None
    x = affine_of(program, node.inputs[0])
    own = Channels.of(program, node)
    stride, padding, dilation = list(op.stride), list(op.padding), list(op.dilation)
    packed = torch.ops.onednn.qconv_prepack(
        program.graph.constants[node.inputs[1]],
        own.scales,
        *x,
        stride,
        padding,
        dilation,
        op.groups,
        None if shape is None else list(shape),
    )
    weights = (packed, own.scales, own.zero_points)
    window = (stride, padding, dilation, op.groups)
    is_image = len(op.stride) == 2
    if len(node.inputs) == 4 and is_image and not op.function:
        return _residual_conv(program, node, op, (x, weights, own.bias, window))
    ends_in_float = bool(op.function) or len(node.inputs) == 4
    out = params_of(program, node.output)
    to = REAL if ends_in_float else Epilogue.of(op, out, known=POST_OPS_OF_CONV[len(op.stride)])
    rest = (own.bias, *window, to.scale, to.zero_point, to.dtype, to.attr, to.scalars, "")
    call = torch.ops.onednn.qconv_pointwise.default
    kernel_size = program.graph.constants[node.inputs[1]].shape[2:]
    kernel = defects.not_empty(lambda image: call(image, *x, *weights, *rest), kernel_size)
    if ends_in_float:
        return finished_in_float(program, node, op, kernel)
    return kernel if to.bounds is None else _clamped(kernel, to.bounds)


def _clamped(kernel: Kernel, bounds: tuple[int, int]) -> Kernel:
    return lambda *operands: kernel(*operands).clamp_(*bounds)


def _convolved(program: Program, node: Node, op: Conv) -> Kernel:
    return _conv(program, node, op, {})


def transposed_as_conv(
    program: Program,
    node: Node,
    op: ConvTranspose,
    bound: Callable[[Program, Node, Conv], Kernel],
) -> Kernel:
    """The kernel of a transposed convolution, from what binds one of a convolution."""
    _, zero_point = affine_of(program, node.inputs[0])
    kernel = tuple(program.graph.constants[node.inputs[1]].shape[2:])
    convolution = bound(*as_convolution(program, node, op))
    return spread(op, kernel, zero_point, convolution)


def ends(node: Node) -> tuple[str, ...]:
    """The names of all operands and of the result."""
    return (*node.inputs, node.output)


def finished_in_float(program: Program, node: Node, op: Layer, kernel: Kernel) -> Kernel:
    """The kernel of a layer with a function: `kernel` gives real numbers, and torch does the rest.

    For functions that are no post-operation of a kernel.
    """
    out = params_of(program, node.output)
    narrow = _narrowing(out)

    def whole(x: Tensor, *addend: Tensor) -> Tensor:
        real = kernel(x)
        for q in addend:
            more = elementwise.dequantize(q, *affine_of(program, node.inputs[3]))
            real = real.add_(more) if real.shape == more.shape else real + more
        return narrow(finished_real(real, op.function, (op.low, op.high)))

    return whole


def _narrowing(out: QParams) -> Callable[[Tensor], Tensor]:
    """From real numbers to a grid."""
    scale, zero_point = out.scale.item(), int(out.zero_point.item())
    if out.high == 255:
        return lambda x: elementwise.quantize(x, scale, zero_point)
    return lambda x: elementwise.quantize(x, scale, zero_point).clamp_(max=out.high)


def _residual_conv(program: Program, node: Node, op: Conv, bound: tuple[Any, ...]) -> Kernel:
    """A convolution that adds onto its fourth operand, if that is as large as the result."""
    x, weights, bias, window = bound
    addend = affine_of(program, node.inputs[3])
    to = Epilogue.of(op, params_of(program, node.output), known=("relu",))
    sum_onto = (*addend, "sum", 1.0, to.attr, to.scalars, "")
    rest = (bias, *window, to.scale, to.zero_point, to.dtype, *sum_onto)
    call = torch.ops.onednn.qconv2d_pointwise.binary
    size = program.graph.constants[node.inputs[1]].shape[2:]
    over = Window(op.stride, op.padding, op.dilation, op.groups)
    exact = exact_conv(program, node, op)

    def kernel(image: Tensor, onto: Tensor) -> Any:
        shape = (len(image), len(bias), *windows(image.shape[2:], size, over))
        if onto.shape != shape:
            return exact(image, onto)  # broadcasts, or refuses
        y: Tensor = call(image, *x, *weights, channels_last(onto), *rest)
        return y if to.bounds is None else y.clamp_(*to.bounds)

    return kernel


def _linear(program: Program, node: Node, op: Linear) -> Kernel:
    rows = _rows(program, node, op)
    if len(program.graph.values[node.inputs[0]].shape) == 2:
        return rows

    def kernel(q: Tensor) -> Tensor:
        y: Tensor = rows(q.reshape(-1, q.shape[-1]))
        return y.reshape(*q.shape[:-1], y.shape[-1])

    return kernel


def _rows(program: Program, node: Node, op: Linear) -> Kernel:
    """The linear layer for a matrix (N, I)."""
    x = affine_of(program, node.inputs[0])
    own = Channels.of(program, node)
    packed = torch.ops.onednn.qlinear_prepack(linear_weight(program, node), None)
    to = Epilogue.of(op, params_of(program, node.output), known=("relu",))
    to = REAL if op.function else to
    weights = (packed, own.scales, own.zero_points, own.bias)
    rest = (to.scale, to.zero_point, to.dtype, to.attr, to.scalars, "")
    call = torch.ops.onednn.qlinear_pointwise.default

    def rows(matrix: Tensor) -> Tensor:
        y: Tensor = call(matrix, *x, *weights, *rest)
        return y if to.bounds is None else y.clamp_(*to.bounds)

    return finished_in_float(program, node, op, rows) if op.function else rows


def linear_weight(program: Program, node: Node) -> Tensor:
    """The weight, its columns in the order in which a channels_last image is flattened."""
    weight = program.graph.constants[node.inputs[1]]
    flatten = program.graph.producers.get(node.inputs[0])
    if flatten is None or not _feeds_only_linear(program, flatten):
        return weight
    shape = [int(size) for size in program.graph.values[flatten.inputs[0]].shape[1:]]
    return weight.reshape(-1, *shape).permute(0, 2, 3, 1).flatten(1).contiguous()


def _feeds_only_linear(program: Program, node: Node) -> bool:
    """True for a flattening of images of known size that only an integer linear reads."""
    shape = program.graph.values[node.inputs[0]].shape
    user = program.graph.only_user(node.output)
    return (
        node.op == Flatten(1)
        and len(shape) == 4
        and all(isinstance(size, int) for size in shape[1:])
        and user is not None
        and isinstance(user.op, Linear)
        and program.is_integer(user)
    )


def mean(program: Program, node: Node, axes: tuple[int, ...], keep: bool) -> Kernel:
    """The sum of exact integers, over any number of elements."""
    (x_scale, x_zero), out = affine_of(program, node.inputs[0]), params_of(program, node.output)
    ratio = x_scale / out.scale.item()

    def kernel(x: Tensor) -> Tensor:
        count = prod(x.shape[axis] for axis in axes)
        if not count:
            raise EngineError(f"a tensor of shape {tuple(x.shape)} has no elements to average")
        exact = torch.int32 if count <= MOST_IN_INT32 else torch.int64
        total = x.sum(axes, keepdim=keep, dtype=exact).sub_(count * x_zero)
        return elementwise.requantize_sum(total, torch.tensor(ratio / count).float(), out)

    return kernel


def _average(program: Program, node: Node, op: AveragePool) -> Kernel:
    (x_scale, x_zero), out = affine_of(program, node.inputs[0]), params_of(program, node.output)
    ratio = x_scale / out.scale.item()

    def kernel(x: Tensor) -> Tensor:
        total = op.sums(x.to(torch.float32).sub_(x_zero))
        return elementwise.requantize_sum(total, (ratio / op.divisors(x.shape[2:])).float(), out)

    return kernel


def _add(program: Program, node: Node, op: Add) -> Kernel:
    a, b, to = (affine_of(program, name) for name in (*node.inputs, node.output))
    scaled = op.alpha * b[0], b[1]
    return _bounded(program, node, op, lambda x, y: elementwise.add(x, y, a, scaled, to))


def _mul(program: Program, node: Node, op: Mul) -> Kernel:
    a, b, to = (affine_of(program, name) for name in (*node.inputs, node.output))
    return _bounded(program, node, op, lambda x, y: elementwise.multiply(x, y, a, b, to))


def _bounded(program: Program, node: Node, op: Add | Mul, kernel: Kernel) -> Kernel:
    low, high = real_bounds(op.low, op.high, params_of(program, node.output))
    if (low, high) == (0, 255):
        return kernel
    return lambda a, b: kernel(a, b).clamp_(low, high)


def _extreme(program: Program, node: Node, op: Maximum | Minimum) -> Kernel:
    first, second = (_move(program, name, node.output) or torch.positive for name in node.inputs)
    return lambda a, b: op.run(first(a), second(b))


def _concat(program: Program, node: Node, op: Concat) -> Kernel:
    moves = [_move(program, name, node.output) for name in node.inputs]

    def kernel(*parts: Tensor) -> Tensor:
        moved = [
            part if move is None else move(part) for move, part in zip(moves, parts, strict=True)
        ]
        return torch.cat(moved, op.axis)

    return kernel


def _move(program: Program, name: str, to: str) -> Callable[[Tensor], Tensor] | None:
    """The way from one value's grid to another's; None where there is none to go."""
    old, new, high = affine_of(program, name), affine_of(program, to), params_of(program, to).high
    if params_of(program, name) == params_of(program, to):
        return None
    if high == 255:
        return lambda q: elementwise.requantize(q, old, new)
    return lambda q: elementwise.requantize(q, old, new).clamp_(max=high)
