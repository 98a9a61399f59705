"""The float form of each operator in OpenVINO: between two FakeQuantize it is the integer form.

The CPU plugin moves a scale and a zero point from in front of an operator to behind it. Where it
does so wrongly (openvino 2026.4.1), the operator is kept out of that, `as_it_is`:

    Pad        of an image of one pixel is filled with the code 0, which is not zero
    AvgPool    that counts its padding is padded with the code 0
    MatMul     rounds the sum to float32 before it takes off the zero point's share

    Convolution    of one channel (in each group), stride (1, s > 1): wrong numbers in a column

And two have windows that see nothing but padding: Convolution reads there what is not its own (it
is padded beforehand), MaxPool returns the lowest float32.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zeropoint.export.openvino.grids import fake_quantize, levels_of, real
from zeropoint.graph.op import Op
from zeropoint.graph.value import Value
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.onednn_defects import may_miscount, may_see_only_padding
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AdaptiveAveragePool2d, AveragePool2d, GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.shape import (
    COMPUTED,
    INFER,
    Flatten,
    Reshape,
    SizeArithmetic,
    SizeOf,
)

SLACK = 0.25
"""Of a step: the plugin takes a Clamp behind a FakeQuantize into it, with the next lower code."""

DISTINCT = np.float32(1e-30)
"""Far below a step of any accumulator."""

Output = Any  # an openvino.Output: the package is optional and its types are generated
Values = Sequence[Value]


def as_it_is(x: Output, value: Value) -> Output:
    """The same real numbers, as floats: the plugin moves no scale past a Maximum."""
    from openvino import opset14 as ops

    if value.params is None:
        return x
    return ops.maximum(x, np.float32(real(levels_of(value.params)[0], value.params)))


def _has_zero_point(value: Value) -> bool:
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


def _conv2d(op: Conv2d, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    x, weight, bias, *addend = operands
    padding = list(op.padding)
    if may_see_only_padding(op, [int(n) for n in values[1].shape[2:]]):
        x, padding = _padded_first(x, values[0], padding), [0, 0]
    if may_miscount(op, [int(n) for n in values[1].shape]):
        x = as_it_is(x, values[0])
    geometry = (list(op.stride), padding, padding, list(op.dilation))
    if op.groups == 1:
        y = ops.convolution(x, weight, *geometry)
    else:
        out, *rest = values[1].shape
        grouped = np.array([op.groups, int(out) // op.groups, *rest])
        y = ops.group_convolution(x, ops.reshape(weight, grouped, False), *geometry)
    y = ops.add(y, ops.reshape(bias, np.array([1, -1, 1, 1]), False))
    for other in addend:
        y = ops.add(y, other)
    return clamped(y, op.low, op.high)


def _padded_first(x: Output, value: Value, padding: Sequence[int]) -> Output:
    y = _with_zeros(x, value, [0, 0, *padding], [0, 0, *padding])
    return y if value.params is None else fake_quantize(y, value.params)


def _with_zeros(x: Output, value: Value, before: list[int], after: list[int]) -> Output:
    from openvino import opset14 as ops

    zero = ops.constant(np.float32(0.0))
    x = as_it_is(x, value) if _has_zero_point(value) else x
    return ops.pad(x, np.array(before), np.array(after), "constant", zero)


def _linear(op: Linear, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    x, weight, bias = operands
    by_convolution = _has_zero_point(values[0])
    y = _by_convolution(x, weight, values) if by_convolution else ops.matmul(x, weight, False, True)
    # The plugin drops a bias that is alike for all channels, and then takes two linear layers in a
    # row for a perceptron of float32, whose result is wrong.
    distinct = DISTINCT * np.arange(int(values[1].shape[0]), dtype=np.float32)
    return clamped(ops.add(y, ops.add(bias, ops.constant(distinct))), op.low, op.high)


def _by_convolution(x: Output, weight: Output, values: Values) -> Output:
    """Rows as images of one pixel: a MatMul takes the zero point's share off in float32."""
    from openvino import opset14 as ops

    outputs, features = (int(n) for n in values[1].shape)
    pixels = ops.reshape(x, np.array([-1, features, 1, 1]), False)
    kernel = ops.reshape(weight, np.array([outputs, features, 1, 1]), False)
    y = ops.convolution(pixels, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    rank = len(values[0].shape)
    last = ops.constant(np.array([outputs]))
    size = ops.concat([_slice(ops.shape_of(x), 0, rank - 1), last], 0)
    return ops.reshape(y, size, False)


def _add(op: Add, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return clamped(ops.add(*operands), op.low, op.high)


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
    rank, given = len(values[0].shape), op.amounts
    before, after = [0] * rank, [0] * rank
    for i in range(len(given) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = given[2 * i], given[2 * i + 1]
    return _with_zeros(operands[0], values[0], before, after)


def _max_pool(op: MaxPool2d, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    window = (list(op.stride), list(op.dilation), list(op.padding), list(op.padding))
    rounding = "ceil_torch" if op.ceil_mode else "floor"
    y = ops.max_pool(operands[0], *window, list(op.kernel), rounding, "explicit")
    params = values[0].params
    lowest = np.finfo(np.float32).min if params is None else real(params.low, params)
    # A Maximum in any case would keep the plugin's integers from going further.
    largest = y.output(0)
    return ops.maximum(largest, np.float32(lowest)) if _may_see_only_padding(op) else largest


def _may_see_only_padding(op: MaxPool2d) -> bool:
    sides = zip(op.padding, op.dilation, strict=True)
    return any(padding > 0 and dilation > 1 for padding, dilation in sides)


def _average_pool(op: AveragePool2d, operands: Sequence[Output], values: Values) -> Output:
    (x,), (value,) = operands, values
    if not op.count_include_pad or not any(op.padding):  # what is beyond is never counted
        return _averages(x, op, op.padding)
    if op.ceil_mode:
        return _averages_beyond(x, value, op)
    x = as_it_is(x, value) if _has_zero_point(value) else x
    return _averages(x, op, op.padding, counts_padding=True)


def _averages(
    x: Output, op: AveragePool2d, padding: Sequence[int], *, counts_padding: bool = False
) -> Output:
    from openvino import opset14 as ops

    sides = list(padding)
    rounding = "ceil_torch" if op.ceil_mode else "floor"
    kernel, stride = list(op.kernel), list(op.stride)
    return ops.avg_pool(x, stride, sides, sides, kernel, not counts_padding, rounding)


def _averages_beyond(x: Output, value: Value, op: AveragePool2d) -> Output:
    """Where windows reach beyond the padding, torch counts the one and not the other."""
    from openvino import opset14 as ops

    windows = (list(op.stride), [1, 1], list(op.padding), list(op.padding), list(op.kernel))
    size = ops.shape_of(ops.max_pool(x, *windows, "ceil_torch", "explicit").output(0))
    sides = [0, 0, *op.padding]
    y = _averages(_with_zeros(x, value, sides, sides), op, (0, 0))
    begin, step, axes = (np.array(n) for n in ([0, 0], [1, 1], [2, 3]))
    return ops.slice(y, begin, _slice(size, 2, 4), step, axes)  # no window begins in the padding


def _adaptive(op: AdaptiveAveragePool2d, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    size = ops.shape_of(operands[0])
    wanted = [
        ops.constant(np.array([wanted]))
        if wanted is not None
        else ops.gather(size, ops.constant(np.array([2 + axis])), ops.constant(0))
        for axis, wanted in enumerate(op.size)
    ]
    return ops.adaptive_avg_pool(operands[0], ops.concat(wanted, 0))


def _global(op: GlobalAveragePool, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.reduce_mean(operands[0], np.array([2, 3]), op.keep)


def _flatten(op: Flatten, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    rank = len(values[0].shape)
    last = op.end % rank
    if last == rank - 1:  # the usual one: what stands before is kept as it is
        return ops.reshape(operands[0], np.array([0] * op.start + [-1]), True)
    size = ops.shape_of(operands[0])
    parts = [ops.constant(np.array([-1]))]
    if op.start:
        parts.insert(0, _slice(size, 0, op.start))
    parts.append(_slice(size, last + 1, rank))
    return ops.reshape(operands[0], ops.concat(parts, 0), False)


def _slice(size: Output, begin: int, end: int) -> Output:
    from openvino import opset14 as ops

    return ops.gather(size, ops.constant(np.arange(begin, end)), ops.constant(0))


def _reshape(op: Reshape, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    x, *sizes = operands
    if COMPUTED not in op.shape:
        return ops.reshape(x, np.array(op.shape), True)
    computed = iter(sizes)
    entries = [
        ops.reshape(next(computed), np.array([1]), False)
        if entry == COMPUTED
        else ops.constant(np.array([entry if entry != INFER else -1]))
        for entry in op.shape
    ]
    return ops.reshape(x, ops.concat(entries, 0), True)


def _size_of(op: SizeOf, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    axis = op.axis % len(values[0].shape)
    return _slice(ops.shape_of(operands[0]), axis, axis + 1)


def _size_arithmetic(op: SizeArithmetic, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    functions: dict[str, Callable[..., Output]] = {
        "add": ops.add,
        "sub": ops.subtract,
        "mul": ops.multiply,
        "floordiv": lambda a, b: ops.convert(
            ops.floor(ops.divide(ops.convert(a, np.float64), ops.convert(b, np.float64))), np.int64
        ),
        "mod": ops.floor_mod,
        "neg": lambda a: ops.multiply(a, ops.constant(np.array([-1]))),
        "sym_max": ops.maximum,
        "sym_min": ops.minimum,
    }
    computed = iter(operands)
    read = [
        next(computed) if number is None else ops.constant(np.array([number]))
        for number in op.numbers
    ]
    return functions[op.function](*read)


def _batch_norm(op: BatchNorm, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    x, gamma, beta, mean, var = operands
    return ops.batch_norm_inference(x, gamma, beta, mean, var, op.eps)


def _nothing(op: Op, operands: Sequence[Output], values: Values) -> Output:
    return operands[0]


FORMS: dict[type[Op], Callable[[Any, Sequence[Output], Values], Output]] = {
    Conv2d: _conv2d,
    Linear: _linear,
    Add: _add,
    Clamp: _clamp,
    Concat: _concat,
    Pad: _pad,
    MaxPool2d: _max_pool,
    AveragePool2d: _average_pool,
    AdaptiveAveragePool2d: _adaptive,
    GlobalAveragePool: _global,
    Flatten: _flatten,
    Reshape: _reshape,
    SizeOf: _size_of,
    SizeArithmetic: _size_arithmetic,
    BatchNorm: _batch_norm,
    Requantize: _nothing,
    Quantize: _nothing,
    Dequantize: _nothing,
}
