"""The float form of each operator in ONNX, but for opaque ones (aten.py).

Islands are written with them, and so is what stands between DequantizeLinear and QuantizeLinear.
Each function takes the names of its operands and returns that of its result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zeropoint.export.onnx.pooling import average_pool, max_pool, window_sums
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.export.onnx.sizes import flattened, reshaped
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AdaptiveAveragePool2d, AveragePool2d, GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.shape import Flatten, Reshape


@dataclass(frozen=True)
class Operand:
    """A tensor in the ONNX graph, and its shape."""

    name: str
    shape: Shape


def float_form(sheet: Sheet, op: Op, operands: Sequence[Operand]) -> str:
    """The operator on real numbers."""
    return FORMS[type(op)](sheet, op, *operands)


def clamped(sheet: Sheet, x: str, low: float | None, high: float | None) -> str:
    """The float form of an activation. Where low > high, high wins, as in torch."""
    if low is None and high is None:
        return x
    if (low, high) == (0.0, None):
        return sheet.emit("Relu", x)
    if low is not None and high is not None:
        low = min(low, high)
    bounds = ["" if bound is None else sheet.number(bound) for bound in (low, high)]
    return sheet.emit("Clip", x, *bounds)


def convolution(sheet: Sheet, op: Conv2d, operator: str, *operands: str) -> str:
    """A node of the convolution family with the operator's geometry."""
    return sheet.emit(
        operator,
        *operands,
        strides=op.stride,
        pads=(*op.padding, *op.padding),
        dilations=op.dilation,
        group=op.groups,
    )


def _conv2d(
    sheet: Sheet, op: Conv2d, x: Operand, weight: Operand, bias: Operand, *addend: Operand
) -> str:
    y = convolution(sheet, op, "Conv", x.name, weight.name, bias.name)
    for other in addend:
        y = sheet.emit("Add", y, other.name)
    return clamped(sheet, y, op.low, op.high)


def _linear(sheet: Sheet, op: Linear, x: Operand, weight: Operand, bias: Operand) -> str:
    if len(x.shape) == 2:
        y = sheet.emit("Gemm", x.name, weight.name, bias.name, transB=1)
        return clamped(sheet, y, op.low, op.high)
    columns = sheet.emit("Transpose", weight.name, perm=(1, 0))
    product = sheet.emit("MatMul", x.name, columns)
    return clamped(sheet, sheet.emit("Add", product, bias.name), op.low, op.high)


def _batch_norm(sheet: Sheet, op: BatchNorm, *operands: Operand) -> str:
    names = [operand.name for operand in operands]
    return sheet.emit("BatchNormalization", *names, epsilon=op.eps)


def _add(sheet: Sheet, op: Add, a: Operand, b: Operand) -> str:
    return clamped(sheet, sheet.emit("Add", a.name, b.name), op.low, op.high)


def _clamp(sheet: Sheet, op: Clamp, x: Operand) -> str:
    return clamped(sheet, x.name, op.low, op.high)


def _concat(sheet: Sheet, op: Concat, *parts: Operand) -> str:
    return sheet.emit("Concat", *[part.name for part in parts], axis=op.axis)


def padded(sheet: Sheet, op: Pad, x: Operand, fill: str) -> str:
    """Pad with a constant `fill`."""
    rank, given = len(x.shape), op.amounts
    before, after = [0] * rank, [0] * rank
    for i in range(len(given) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = given[2 * i], given[2 * i + 1]
    return sheet.emit("Pad", x.name, sheet.integers([*before, *after]), fill)


def _pad(sheet: Sheet, op: Pad, x: Operand) -> str:
    return padded(sheet, op, x, sheet.number(0.0))


def _flatten(sheet: Sheet, op: Flatten, x: Operand) -> str:
    return flattened(sheet, op, x.name, x.shape)


def _reshape(sheet: Sheet, op: Reshape, x: Operand, *sizes: Operand) -> str:
    return reshaped(sheet, op, x.name, [size.name for size in sizes])


def _max_pool2d(sheet: Sheet, op: MaxPool2d, x: Operand) -> str:
    return max_pool(sheet, op, x.name, x.shape)


def _average_pool2d(sheet: Sheet, op: AveragePool2d, x: Operand) -> str:
    return average_pool(sheet, op, x.name, x.shape)


def _adaptive_average_pool2d(sheet: Sheet, op: AdaptiveAveragePool2d, x: Operand) -> str:
    return sheet.emit("Div", *window_sums(sheet, op, x.name, x.shape))


def _global_average_pool(sheet: Sheet, op: GlobalAveragePool, x: Operand) -> str:
    y = sheet.emit("GlobalAveragePool", x.name)
    return y if op.keep else sheet.emit("Flatten", y, axis=1)


def _nothing(sheet: Sheet, op: Op, x: Operand) -> str:
    return x.name


Form = Callable[..., str]  # (sheet, op, operands...) -> the result
FORMS: dict[type[Op], Form] = {
    Conv2d: _conv2d,
    Linear: _linear,
    BatchNorm: _batch_norm,
    Add: _add,
    Clamp: _clamp,
    Concat: _concat,
    Pad: _pad,
    Flatten: _flatten,
    Reshape: _reshape,
    MaxPool2d: _max_pool2d,
    AveragePool2d: _average_pool2d,
    AdaptiveAveragePool2d: _adaptive_average_pool2d,
    GlobalAveragePool: _global_average_pool,
    Requantize: _nothing,
    Quantize: _nothing,
    Dequantize: _nothing,
}
