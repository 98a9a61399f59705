"""The float form of each operator in ONNX, but for opaque ones (aten.py).

Islands are written with them, and so is what stands between DequantizeLinear and QuantizeLinear.
Each function takes the names of its operands and returns that of its result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from zeropoint.export.onnx.functions import applied
from zeropoint.export.onnx.movement import FORMS as MOVEMENTS
from zeropoint.export.onnx.movement import moved, padded
from zeropoint.export.onnx.pooling import average_pool, max_pool, window_sums
from zeropoint.export.onnx.reductions import adaptive_max, interpolated, mean, sum_
from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.sheet import Attribute, Sheet
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv, Conv1d, Conv2d, Conv3d, Convolution
from zeropoint.ops.conv_transpose import (
    ConvTranspose,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.movement import Movement
from zeropoint.ops.mul import Mul
from zeropoint.ops.pad import Pad, PadWith
from zeropoint.ops.pool import (
    AdaptiveAveragePool,
    AdaptiveAveragePool1d,
    AdaptiveAveragePool2d,
    AdaptiveAveragePool3d,
    AdaptiveMaxPool,
    AveragePool,
    AveragePool1d,
    AveragePool2d,
    AveragePool3d,
    GlobalAveragePool,
    MaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.reduce import Mean, Sum
from zeropoint.ops.table import Table
from zeropoint.ops.upsample import Interpolate


@dataclass(frozen=True)
class Operand:
    """A tensor in the ONNX graph, its shape and its elements; a size has no dtype."""

    name: str
    shape: Shape
    dtype: torch.dtype | None = torch.float32


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


def convolution(sheet: Sheet, op: Convolution, operator: str, *operands: str) -> str:
    """A node of the convolution family with the operator's geometry."""
    more: dict[str, Attribute] = {}
    if isinstance(op, ConvTranspose):
        if any(extra >= s for extra, s in zip(op.output_padding, op.stride, strict=True)):
            raise Refusal(f"output_padding={op.output_padding} with a stride of {op.stride}")
        more["output_padding"] = op.output_padding
    return sheet.emit(
        operator,
        *operands,
        strides=op.stride,
        pads=(*op.padding, *op.padding),
        dilations=op.dilation,
        group=op.groups,
        **more,
    )


def turned(sheet: Sheet, op: ConvTranspose, weight: str, shape: Shape) -> str:
    """The weight (O, C / groups, ...) of a transposed convolution as ONNX has it."""
    outputs, inputs, *kernel = (int(size) for size in shape)
    grouped = [op.groups, outputs // op.groups, inputs, *kernel]
    order = (0, 2, 1, *range(3, len(grouped)))
    rows = sheet.emit("Reshape", weight, sheet.integers(grouped))
    columns = sheet.emit("Transpose", rows, perm=order)
    flat = [op.groups * inputs, outputs // op.groups, *kernel]
    return sheet.emit("Reshape", columns, sheet.integers(flat))


def _conv_transpose(
    sheet: Sheet, op: ConvTranspose, x: Operand, weight: Operand, bias: Operand
) -> str:
    columns = turned(sheet, op, weight.name, weight.shape)
    y = convolution(sheet, op, "ConvTranspose", x.name, columns, bias.name)
    return _finished(sheet, op, y)


def _conv(
    sheet: Sheet, op: Conv, x: Operand, weight: Operand, bias: Operand, *addend: Operand
) -> str:
    y = convolution(sheet, op, "Conv", x.name, weight.name, bias.name)
    for other in addend:
        y = sheet.emit("Add", y, other.name)
    return _finished(sheet, op, y)


def _linear(sheet: Sheet, op: Linear, x: Operand, weight: Operand, bias: Operand) -> str:
    if len(x.shape) == 2:
        y = sheet.emit("Gemm", x.name, weight.name, bias.name, transB=1)
        return _finished(sheet, op, y)
    columns = sheet.emit("Transpose", weight.name, perm=(1, 0))
    product = sheet.emit("MatMul", x.name, columns)
    return _finished(sheet, op, sheet.emit("Add", product, bias.name))


def _finished(sheet: Sheet, op: Convolution | Linear, y: str) -> str:
    return clamped(sheet, applied(sheet, op.function, y), op.low, op.high)


def _batch_norm(sheet: Sheet, op: BatchNorm, *operands: Operand) -> str:
    names = [operand.name for operand in operands]
    return sheet.emit("BatchNormalization", *names, epsilon=op.eps)


def _add(sheet: Sheet, op: Add, a: Operand, b: Operand) -> str:
    if op.alpha == -1.0:
        return clamped(sheet, sheet.emit("Sub", a.name, b.name), op.low, op.high)
    one = op.alpha == 1.0
    scaled = b.name if one else sheet.emit("Mul", b.name, sheet.number(op.alpha))
    return clamped(sheet, sheet.emit("Add", a.name, scaled), op.low, op.high)


def _mul(sheet: Sheet, op: Mul, a: Operand, b: Operand) -> str:
    return clamped(sheet, sheet.emit("Mul", a.name, b.name), op.low, op.high)


def _maximum(sheet: Sheet, op: Maximum, a: Operand, b: Operand) -> str:
    return sheet.emit("Max", a.name, b.name)


def _minimum(sheet: Sheet, op: Minimum, a: Operand, b: Operand) -> str:
    return sheet.emit("Min", a.name, b.name)


def _table(sheet: Sheet, op: Table, x: Operand) -> str:
    return applied(sheet, op.steps, x.name)


def _clamp(sheet: Sheet, op: Clamp, x: Operand) -> str:
    return clamped(sheet, x.name, op.low, op.high)


def _concat(sheet: Sheet, op: Concat, *parts: Operand) -> str:
    return sheet.emit("Concat", *[part.name for part in parts], axis=op.axis)


def _pad(sheet: Sheet, op: Pad, x: Operand, *sizes: Operand) -> str:
    names = [size.name for size in sizes]
    return padded(sheet, op, x.name, x.shape, names, sheet.number(op.value))


def _pad_with(sheet: Sheet, op: PadWith, x: Operand, *sizes: Operand) -> str:
    names = [size.name for size in sizes]
    return padded(sheet, op, x.name, x.shape, names, sheet.number(op.value))


def _movement(sheet: Sheet, op: Movement, x: Operand, *sizes: Operand) -> str:
    return moved(sheet, op, x.name, x.shape, [size.name for size in sizes])


def _matmul(sheet: Sheet, op: MatMul, a: Operand, b: Operand) -> str:
    return sheet.emit("MatMul", a.name, b.name)


def _mean(sheet: Sheet, op: Mean, x: Operand) -> str:
    return mean(sheet, op, x.name)


def _sum(sheet: Sheet, op: Sum, x: Operand) -> str:
    return sum_(sheet, op, x.name)


def _interpolate(sheet: Sheet, op: Interpolate, x: Operand, *sizes: Operand) -> str:
    return interpolated(sheet, op, x.name, [size.name for size in sizes])


def _adaptive_max_pool(sheet: Sheet, op: AdaptiveMaxPool, x: Operand) -> str:
    return adaptive_max(sheet, op, x.name, x.shape)


def _max_pool(sheet: Sheet, op: MaxPool, x: Operand) -> str:
    return max_pool(sheet, op, x.name, x.shape)


def _average_pool(sheet: Sheet, op: AveragePool, x: Operand) -> str:
    return average_pool(sheet, op, x.name, x.shape)


def _adaptive_average_pool(sheet: Sheet, op: AdaptiveAveragePool, x: Operand) -> str:
    return sheet.emit("Div", *window_sums(sheet, op, x.name, x.shape))


def _global_average_pool(sheet: Sheet, op: GlobalAveragePool, x: Operand) -> str:
    y = sheet.emit("GlobalAveragePool", x.name)
    return y if op.keep else sheet.emit("Flatten", y, axis=1)


def _nothing(sheet: Sheet, op: Op, x: Operand) -> str:
    return x.name


Form = Callable[..., str]  # (sheet, op, operands...) -> the result
FORMS: dict[type[Op], Form] = {
    **dict.fromkeys((Conv1d, Conv2d, Conv3d), _conv),
    **dict.fromkeys((ConvTranspose1d, ConvTranspose2d, ConvTranspose3d), _conv_transpose),
    Linear: _linear,
    BatchNorm: _batch_norm,
    Add: _add,
    Mul: _mul,
    Maximum: _maximum,
    Minimum: _minimum,
    Table: _table,
    Clamp: _clamp,
    Concat: _concat,
    Pad: _pad,
    PadWith: _pad_with,
    **dict.fromkeys(MOVEMENTS, _movement),
    MatMul: _matmul,
    Mean: _mean,
    Sum: _sum,
    Interpolate: _interpolate,
    AdaptiveMaxPool: _adaptive_max_pool,
    **dict.fromkeys((MaxPool1d, MaxPool2d, MaxPool3d), _max_pool),
    **dict.fromkeys((AveragePool1d, AveragePool2d, AveragePool3d), _average_pool),
    **dict.fromkeys(
        (AdaptiveAveragePool1d, AdaptiveAveragePool2d, AdaptiveAveragePool3d),
        _adaptive_average_pool,
    ),
    GlobalAveragePool: _global_average_pool,
    Requantize: _nothing,
    Quantize: _nothing,
    Dequantize: _nothing,
}
