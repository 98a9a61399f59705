"""The float form of each operator in OpenVINO: between two FakeQuantize it is the integer form."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zeropoint.graph.op import Op
from zeropoint.graph.value import Value
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AdaptiveAveragePool2d, AveragePool2d, GlobalAveragePool, MaxPool2d
from zeropoint.ops.shape import (
    COMPUTED,
    INFER,
    Flatten,
    Reshape,
    SizeArithmetic,
    SizeOf,
)

Output = Any  # an openvino.Output: the package is optional and its types are generated
Values = Sequence[Value]


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
    geometry = (list(op.stride), list(op.padding), list(op.padding), list(op.dilation))
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


def _linear(op: Linear, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    x, weight, bias = operands
    y = ops.add(ops.matmul(x, weight, False, True), bias)
    return clamped(y, op.low, op.high)


def _add(op: Add, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return clamped(ops.add(*operands), op.low, op.high)


def _clamp(op: Clamp, operands: Sequence[Output], values: Values) -> Output:
    return clamped(operands[0], op.low, op.high)


def _concat(op: Concat, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.concat(list(operands), op.axis)


def _pad(op: Pad, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    rank, given = len(values[0].shape), op.amounts
    before, after = [0] * rank, [0] * rank
    for i in range(len(given) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = given[2 * i], given[2 * i + 1]
    zero = ops.constant(np.float32(0.0))
    return ops.pad(operands[0], np.array(before), np.array(after), "constant", zero)


def _max_pool(op: MaxPool2d, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    window = (list(op.stride), list(op.dilation), list(op.padding), list(op.padding))
    rounding = "ceil_torch" if op.ceil_mode else "floor"
    pooled = ops.max_pool(operands[0], *window, list(op.kernel), rounding, "explicit")
    return ops.convert_like(pooled.output(0), operands[0])


def _average_pool(op: AveragePool2d, operands: Sequence[Output], values: Values) -> Output:
    from openvino import opset14 as ops

    rounding = "ceil_torch" if op.ceil_mode else "floor"
    padding = list(op.padding)
    return ops.avg_pool(
        operands[0],
        list(op.stride),
        padding,
        padding,
        list(op.kernel),
        not op.count_include_pad,
        rounding,
    )


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
}
