"""Functions of one value (ops/functions.py) in OpenVINO, step by step.

The CPU plugin takes those that follow a convolution into its kernel. A function with a step that is
not listed here, or that is no finite number somewhere, is read off the table of codes, where it has
integers before and behind it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zeropoint.graph.value import Value
from zeropoint.ops.functions import Steps, interpreted
from zeropoint.ops.table import Table, has_gaps

Output = Any  # an openvino.Output: the package is optional and its types are generated

BY_TABLE = {
    "clamp", "softshrink", "ceil", "floor", "greater", "greater_equal", "hardshrink", "less",
    "less_equal", "round", "sign", "threshold", "where",
}  # fmt: skip
"""Right as tables only: a Clamp behind integers is moved to the nearest codes by the plugin, and a
jump at zero is not where it was, since codes stand for their real numbers to float32 rounding."""

STRAIGHT = 15.0
"""Where log(1 + exp(x)) is x to float32: a softplus that is x from there on needs no telling."""


def unwritable(function: Steps) -> str | None:
    """The first step that OpenVINO has no operator for; None if it can have the function."""
    return next((str(name) for name, *_ in function if name not in WRITERS), None)


def applied(function: Steps, x: Output) -> Output:
    """The function of real numbers."""
    return interpreted(function, x, lambda name, *read: WRITERS[name](*map(_number, read)))


def needs_table(op: Table, value: Value) -> bool:
    """True if a table of codes has to be read off, of an operand on a grid."""
    if value.params is None:
        return False
    known = all(name in WRITERS and name not in BY_TABLE for name, *_ in op.steps)
    return not known or has_gaps(op, value.params)


def looked_up(op: Table, x: Output, value: Value, result: Value) -> Output:
    """A table of the real numbers on the grid of the result, read by the codes of x."""
    from openvino import opset14 as ops

    assert value.params is not None  # callers pass integer values
    assert result.params is not None
    codes = op.entries(value.params, result.params).numpy().astype(np.float32)
    scale, zero_point = result.params.scale.numpy(), result.params.zero_point.numpy()
    table = ops.constant((scale * (codes - zero_point)).astype(np.float32))
    first = int(value.params.zero_point) - value.params.type.low
    steps = ops.round(ops.divide(x, np.float32(value.params.scale.item())), "half_to_even")
    index = ops.convert(ops.add(steps, np.float32(first)), np.int32)
    return ops.gather(table, index, ops.constant(0))


def _number(item: Any) -> Any:
    """Numbers in float32; an operand, or a bound that is not there, as it is."""
    return np.float32(item) if isinstance(item, float) else item


def _unary(name: str) -> Callable[[Output], Output]:
    def write(x: Output) -> Output:
        from openvino import opset14

        return getattr(opset14, name)(x)

    return write


def _binary(name: str) -> Callable[[Output, Output], Output]:
    def write(a: Output, b: Output) -> Output:
        from openvino import opset14

        return getattr(opset14, name)(a, b)

    return write


def _clamp(x: Output, low: Any, high: Any) -> Output:
    from openvino import opset14 as ops

    if (low, high) == (0.0, None):
        return ops.relu(x)
    ends = np.finfo(np.float32)
    top = ends.max if high is None else high
    return ops.clamp(x, float(min(ends.min if low is None else low, top)), float(top))


def _elu(x: Output, alpha: Any) -> Output:
    from openvino import opset14 as ops

    return ops.elu(x, float(alpha))


def _gelu(mode: str) -> Callable[[Output], Output]:
    def write(x: Output) -> Output:
        from openvino import opset14 as ops

        return ops.gelu(x, mode)

    return write


def _leaky_relu(x: Output, slope: Any) -> Output:
    from openvino import opset14 as ops

    return ops.prelu(x, np.full(1, slope))


def _silu(x: Output, beta: Any = None) -> Output:
    from openvino import opset14 as ops

    return ops.swish(x, np.float32(1.0) if beta is None else beta)


def _softplus(x: Output, beta: Any, threshold: Any) -> Output:
    from openvino import opset14 as ops

    scaled = x if beta == 1.0 else ops.multiply(x, beta)
    y = ops.softplus(scaled)
    y = y if beta == 1.0 else ops.divide(y, beta)
    return y if threshold >= STRAIGHT else ops.select(ops.greater(scaled, threshold), x, y)


def _log_sigmoid(x: Output) -> Output:
    from openvino import opset14 as ops

    return ops.negative(ops.softplus(ops.negative(x)))


def _hardshrink(x: Output, number: Any) -> Output:
    from openvino import opset14 as ops

    return ops.select(ops.greater(ops.abs(x), number), x, np.float32(0.0))


def _softshrink(x: Output, number: Any) -> Output:
    from openvino import opset14 as ops

    return ops.subtract(x, ops.clamp(x, -float(number), float(number)))


def _threshold(x: Output, bound: Any, value: Any) -> Output:
    from openvino import opset14 as ops

    return ops.select(ops.greater(x, bound), x, value)


def _square(x: Output) -> Output:
    from openvino import opset14 as ops

    return ops.multiply(x, x)


def _reciprocal(x: Output) -> Output:
    from openvino import opset14 as ops

    return ops.divide(np.float32(1.0), x)


def _rsqrt(x: Output) -> Output:
    from openvino import opset14 as ops

    return ops.divide(np.float32(1.0), ops.sqrt(x))


UNARY = {
    "abs": "abs", "ceil": "ceiling", "cos": "cos", "erf": "erf", "exp": "exp", "floor": "floor",
    "hardsigmoid": "hsigmoid", "hardswish": "hswish", "log": "log", "mish": "mish",
    "neg": "negative", "sigmoid": "sigmoid", "sin": "sin", "softsign": "softsign", "sqrt": "sqrt",
    "tanh": "tanh",
}  # fmt: skip
BINARY = {
    "add": "add", "div": "divide", "maximum": "maximum", "minimum": "minimum", "mul": "multiply",
    "pow": "power", "sub": "subtract",
}  # fmt: skip

WRITERS: Mapping[str, Callable[..., Output]] = {
    **{name: _unary(theirs) for name, theirs in UNARY.items()},
    **{name: _binary(theirs) for name, theirs in BINARY.items()},
    "clamp": _clamp,
    "elu": _elu,
    "gelu": _gelu("erf"),
    "gelu_tanh": _gelu("tanh"),
    "hardshrink": _hardshrink,
    "leaky_relu": _leaky_relu,
    "log_sigmoid": _log_sigmoid,
    "reciprocal": _reciprocal,
    "rsqrt": _rsqrt,
    "silu": _silu,
    "softplus": _softplus,
    "softshrink": _softshrink,
    "square": _square,
    "threshold": _threshold,
}
