"""The float form of each operator in OpenVINO: between two FakeQuantize it is the integer form.

The CPU plugin moves a scale and a zero point from in front of an operator to behind it. Where it
does so wrongly (openvino 2026.4.1), the operator is kept out of that, `as_it_is`:

    Pad        of an image of one pixel is filled with the code 0, which is not zero
    AvgPool    that counts its padding is padded with the code 0
    MatMul     rounds the sum to float32 before it takes off the zero point's share

    Convolution    of one channel (in each group), stride (1, s > 1): wrong numbers in a column

An AvgPool of bytes takes the next FakeQuantize into it, and without VNNI it does not compute it:
its result is `settled`.

And two have windows that see nothing but padding: Convolution reads there what is not its own (it
is padded beforehand), MaxPool returns the lowest float32.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zeropoint.export.openvino.functions import applied
from zeropoint.export.openvino.grids import fake_quantize, levels_of, real
from zeropoint.export.openvino.movement import FORMS as MOVEMENTS
from zeropoint.export.openvino.movement import extents, is_accumulator, padded, resized, settled
from zeropoint.graph.op import Op, Signature
from zeropoint.graph.value import Value
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv, Conv1d, Conv2d, Conv3d
from zeropoint.ops.conv_transpose import (
    ConvTranspose,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.mul import Mul
from zeropoint.ops.onednn_defects import may_miscount, may_see_only_padding
from zeropoint.ops.pad import CONSTANT, Pad, PadWith
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
from zeropoint.ops.shape import SizeArithmetic, SizeOf
from zeropoint.ops.table import Table
from zeropoint.ops.upsample import Interpolate

SLACK = 0.25
"""Of a step: the plugin takes a Clamp behind a FakeQuantize into it, with the next lower code."""

Output = Any  # an openvino.Output: the package is optional and its types are generated
Values = Sequence[Value]


def as_it_is(x: Output, value: Value) -> Output:
    """The same real numbers, as floats: the plugin moves no scale past a Maximum."""
    from openvino import opset14 as ops

    if value.params is None:
        return x
    return ops.maximum(x, np.float32(real(levels_of(value.params)[0], value.params)))


def has_zero_point(value: Value) -> bool:
    return value.params is not None and bool(value.params.zero_point.any())


def clamped(x: Output, low: float | None, high: float | None) -> Output:
    """An activation. Where low > high, high wins, as in torch."""
    from openvino import opset14 as ops

    if low is None and high is None:
        return x
    if (low, high) == (0.0, None):
        return ops.relu(x)
    top = np.finfo(np.float32).max if high is None else high
    bottom = np.finfo(np.float32).min if low is None else low
    return ops.clamp(x, float(min(bottom, top)), float(top))


def _conv(op: Conv, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    x, weight, bias, *addend = operands
    padding = list(op.padding)
    if may_see_only_padding(op, [int(n) for n in values[1].shape[2:]]):
        x, padding = _padded_first(x, values[0], padding), [0] * len(padding)
    if may_miscount(op, [int(n) for n in values[1].shape]):
        x = as_it_is(x, values[0])
    geometry = (list(op.stride), padding, padding, list(op.dilation))
    if op.groups == 1:
        y = ops.convolution(x, weight, *geometry)
    else:
        out, *rest = values[1].shape
        grouped = np.array([op.groups, int(out) // op.groups, *rest])
        y = ops.group_convolution(x, ops.reshape(weight, grouped, False), *geometry)
    y = ops.add(y, column(bias, len(padding)))
    for other in addend:
        y = ops.add(y, other)
    return clamped(applied(op.function, y), op.low, op.high)


def column(bias: Output, rank: int) -> Output:
    from openvino import opset14 as ops

    return ops.reshape(bias, np.array([1, -1, *[1] * rank]), False)


def _conv_transpose(op: ConvTranspose, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    x, weight, bias = operands
    outputs, inputs, *kernel = (int(n) for n in values[1].shape)
    grouped = np.array([op.groups, outputs // op.groups, inputs, *kernel])
    order = np.array([0, 2, 1, *range(3, len(grouped))])
    columns = ops.transpose(ops.reshape(weight, grouped, False), order)  # (g, C / g, O / g, ...)
    window = {
        "pads_begin": list(op.padding),
        "pads_end": list(op.padding),
        "dilations": list(op.dilation),
        "output_padding": list(op.output_padding),
    }
    if op.groups == 1:
        columns = ops.squeeze(columns, np.array([0]))
        y = ops.convolution_backprop_data(x, columns, list(op.stride), **window)
    else:
        y = ops.group_convolution_backprop_data(x, columns, list(op.stride), **window)
    return clamped(applied(op.function, ops.add(y, column(bias, len(kernel)))), op.low, op.high)


def _matmul(op: MatMul, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    a, b = (as_it_is(x, value) for x, value in zip(operands, values, strict=True))
    return ops.matmul(a, b, False, False)


def _padded_first(x: Output, value: Value, padding: Sequence[int]) -> Output:
    y = _with_zeros(x, value, [0, 0, *padding], [0, 0, *padding])
    return y if value.params is None else fake_quantize(y, value.params)


def _with_zeros(x: Output, value: Value, before: list[int], after: list[int]) -> Output:
    from openvino import opset14 as ops

    zero = ops.constant(np.float32(0.0))
    x = as_it_is(x, value) if has_zero_point(value) else x
    return ops.pad(x, np.array(before), np.array(after), "constant", zero)


def _add(op: Add, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    a, b = operands
    if op.alpha == -1.0:
        return clamped(ops.subtract(a, b), op.low, op.high)
    scaled = b if op.alpha == 1.0 else ops.multiply(b, np.float32(op.alpha))
    return clamped(ops.add(a, scaled), op.low, op.high)


def _mul(op: Mul, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    y = ops.multiply(*operands)
    if op.low is None and op.high is None:
        return y
    # The plugin would move a Clamp to the other side of a constant factor, even of zero.
    return clamped(ops.maximum(y, np.finfo(np.float32).min), op.low, op.high)


def _maximum(op: Maximum, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.maximum(*operands)


def _minimum(op: Minimum, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.minimum(*operands)


def _table(op: Table, operands: Sequence[Output], values: Values) -> Output:
    return applied(op.steps, operands[0])


def _clamp(op: Clamp, operands: Sequence[Output], values: Values) -> Output:
    params = values[0].params
    if params is None:
        return clamped(operands[0], op.low, op.high)
    low, high = real_bounds(op.low, op.high, params)
    return clamped(operands[0], real(low + SLACK, params), real(high + SLACK, params))


def _concat(op: Concat, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.concat(list(operands), op.axis)


def _pad(op: Pad, operands: Sequence[Output], values: Values) -> Output:
    x, *sizes = operands
    value, params = values[0], values[0].params
    fill = op.value
    if params is not None:
        fill = real(op.code(Signature((params,), params)), params)
    # A scale may go through moved elements, but not past a constant that it does not scale.
    constant = op.mode == CONSTANT and (has_zero_point(value) or op.value != 0.0)
    return padded(op, as_it_is(x, value) if constant else x, sizes, len(value.shape), fill)


def _pad_with(op: PadWith, operands: Sequence[Output], values: Values) -> Output:
    x, *sizes = operands
    return padded(op, as_it_is(x, values[0]), sizes, len(values[0].shape), op.value)


def _mean(op: Mean, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.reduce_mean(operands[0], np.array(op.axes), op.keep)


def _sum(op: Sum, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.reduce_sum(operands[0], np.array(op.axes), op.keep)


def _interpolate(op: Interpolate, operands: Sequence[Output], values: Values) -> Output:
    """Lines as images of one row, which the plugin has a kernel for."""
    from openvino import opset14 as ops

    x, *sizes = operands
    corners = "align_corners" if op.align_corners else "half_pixel"
    x = as_it_is(x, values[0])
    if len(values[0].shape) > 3:
        return resized(x, op.factors, op.size, sizes, "linear_onnx", corners)
    row = np.array([2])
    factors, size = op.factors and (1.0, *op.factors), op.size and (1, *op.size)
    y = resized(ops.unsqueeze(x, row), factors, size, sizes, "linear_onnx", corners)
    return ops.squeeze(y, row)


def _adaptive_max(op: AdaptiveMaxPool, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.adaptive_max_pool(operands[0], _wanted(op, operands[0]), "i32").output(0)


def _max_pool(op: MaxPool, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    window = (list(op.stride), list(op.dilation), list(op.padding), list(op.padding))
    rounding = "ceil_torch" if op.ceil_mode else "floor"
    y = ops.max_pool(operands[0], *window, list(op.kernel), rounding, "explicit")
    params = values[0].params
    lowest = np.finfo(np.float32).min if params is None else real(params.low, params)
    # A Maximum in any case would keep the plugin's integers from going further.
    largest = y.output(0)
    return ops.maximum(largest, np.float32(lowest)) if _may_see_only_padding(op) else largest


def _may_see_only_padding(op: MaxPool) -> bool:
    sides = zip(op.padding, op.dilation, strict=True)
    return any(padding > 0 and dilation > 1 for padding, dilation in sides)


def _average_pool(op: AveragePool, operands: Sequence[Output], values: Values) -> Output:
    (x,), (value,) = operands, values
    if not op.count_include_pad or not any(op.padding):  # what is beyond is never counted
        return _averages(x, op, op.padding)
    if op.ceil_mode:
        return _averages_beyond(x, value, op)
    x = as_it_is(x, value) if has_zero_point(value) else x
    return _averages(x, op, op.padding, counts_padding=True)


def _averages(
    x: Output, op: AveragePool, padding: Sequence[int], *, counts_padding: bool = False
) -> Output:
    from openvino import opset14 as ops

    sides = list(padding)
    rounding = "ceil_torch" if op.ceil_mode else "floor"
    kernel, stride = list(op.kernel), list(op.stride)
    y = ops.avg_pool(x, stride, sides, sides, kernel, not counts_padding, rounding)
    return settled(y)


def _averages_beyond(x: Output, value: Value, op: AveragePool) -> Output:
    """Where windows reach beyond the padding, torch counts the one and not the other."""
    from openvino import opset14 as ops

    rank = len(op.kernel)
    sides = list(op.padding)
    windows = (list(op.stride), [1] * rank, sides, sides, list(op.kernel))
    size = ops.shape_of(ops.max_pool(x, *windows, "ceil_torch", "explicit").output(0))
    around = [0, 0, *sides]
    y = _averages(_with_zeros(x, value, around, around), op, (0,) * rank)
    begin, step, axes = (np.array(n) for n in ([0] * rank, [1] * rank, range(2, rank + 2)))
    return ops.slice(
        y, begin, extents(size, 2, rank + 2), step, axes
    )  # no window begins in the padding


def _adaptive(op: AdaptiveAveragePool, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.adaptive_avg_pool(operands[0], _wanted(op, operands[0]))


def _wanted(op: AdaptiveAveragePool | AdaptiveMaxPool, x: Output) -> Output:
    """The size of the result; None is that of x."""
    from openvino import opset14 as ops

    sizes = [
        extents(ops.shape_of(x), axis, axis + 1)
        if wanted is None
        else ops.constant(np.array([wanted]))
        for axis, wanted in enumerate(op.size, start=2)
    ]
    return ops.concat(sizes, 0)


def _global(op: GlobalAveragePool, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.reduce_mean(operands[0], np.array([2, 3]), op.keep)


def _size_of(op: SizeOf, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    axis = op.axis % len(values[0].shape)
    return extents(ops.shape_of(operands[0]), axis, axis + 1)


def _floor_divided(a: Output, b: Output) -> Output:
    from openvino import opset14 as ops

    quotient = ops.divide(ops.convert(a, np.float64), ops.convert(b, np.float64))
    return ops.convert(ops.floor(quotient), np.int64)


SIZES: Mapping[str, str | Callable[..., Output]] = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "floordiv": _floor_divided,
    "mod": "floor_mod",
    "neg": "negative",
    "sym_max": "maximum",
    "sym_min": "minimum",
}


def _size_arithmetic(op: SizeArithmetic, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    form = SIZES[op.function]
    call = getattr(ops, form) if isinstance(form, str) else form
    computed = iter(operands)
    read = [
        next(computed) if number is None else ops.constant(np.array([number]))
        for number in op.numbers
    ]
    return call(*read)


def _batch_norm(op: BatchNorm, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    x, gamma, beta, mean, var = operands
    return ops.batch_norm_inference(x, gamma, beta, mean, var, op.eps)


def _dequantize(op: Dequantize, operands: Sequence[Output], values: Values) -> Output:
    return settled(operands[0]) if is_accumulator(values[0]) else operands[0]


def _nothing(op: Op, operands: Sequence[Output], values: Values) -> Output:
    return operands[0]


FORMS: dict[type[Op], Callable[[Any, Sequence[Output], Values], Output]] = {
    **dict.fromkeys((Conv1d, Conv2d, Conv3d), _conv),
    **dict.fromkeys((ConvTranspose1d, ConvTranspose2d, ConvTranspose3d), _conv_transpose),
    MatMul: _matmul,
    Add: _add,
    Mul: _mul,
    Maximum: _maximum,
    Minimum: _minimum,
    Table: _table,
    Clamp: _clamp,
    Concat: _concat,
    Pad: _pad,
    PadWith: _pad_with,
    **MOVEMENTS,
    Mean: _mean,
    Sum: _sum,
    Interpolate: _interpolate,
    AdaptiveMaxPool: _adaptive_max,
    **dict.fromkeys((MaxPool1d, MaxPool2d, MaxPool3d), _max_pool),
    **dict.fromkeys((AveragePool1d, AveragePool2d, AveragePool3d), _average_pool),
    **dict.fromkeys(
        (AdaptiveAveragePool1d, AdaptiveAveragePool2d, AdaptiveAveragePool3d), _adaptive
    ),
    GlobalAveragePool: _global,
    SizeOf: _size_of,
    SizeArithmetic: _size_arithmetic,
    BatchNorm: _batch_norm,
    Requantize: _nothing,
    Quantize: _nothing,
    Dequantize: _dequantize,
}
