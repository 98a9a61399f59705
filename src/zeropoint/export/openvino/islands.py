"""Operators of float islands that OpenVINO has too; others are refused by name."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zeropoint.ops.opaque import Opaque

Output = Any  # an openvino.Output: the package is optional and its types are generated

UNARY = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "silu": "swish",
    "hardswish": "hswish",
    "hardsigmoid": "hsigmoid",
    "mish": "mish",
    "exp": "exp",
    "sqrt": "sqrt",
    "abs": "abs",
    "neg": "negative",
    "relu": "relu",
    "softplus": "softplus",
}
"""torch's name and OpenVINO's."""

BINARY = {"mul": "multiply", "add": "add", "sub": "subtract", "div": "divide"}
DEFAULTS = {"softplus": (1, 20)}
"""Arguments with which torch's function is OpenVINO's."""


def island_refusal(op: Opaque) -> str | None:
    """Why the operator cannot be written; None if it can."""
    if _function(op) is None:
        return f"the float operator {op.target} with these arguments"
    return None


def island(op: Opaque, operands: Sequence[Output]) -> Output:
    """The operator on real numbers."""
    function = _function(op)
    assert function is not None  # island_refusal was asked first
    return function([_operand(item, operands) for item in op.arguments])


def _function(op: Opaque) -> Callable[[list[Any]], Output] | None:
    if op.keywords or not op.target.startswith("aten."):
        return None
    name, arguments = op.target.split(".")[1], op.arguments
    if name in UNARY and _is_operand(arguments[0]) and len(arguments) == 1:
        return lambda x: _opset(UNARY[name])(x[0])
    if name in BINARY and len(arguments) == 2 and all(map(_is_operand_or_number, arguments)):
        return lambda x: _opset(BINARY[name])(*map(_as_output, x))
    if name == "gelu" and len(arguments) == 1:
        return lambda x: _opset("gelu")(x[0], "ERF")
    if name == "leaky_relu" and all(map(_is_operand_or_number, arguments)):
        return lambda x: _opset("prelu")(x[0], np.float32(x[1] if len(x) > 1 else 0.01))
    if name in ("softmax", "_softmax") and isinstance(arguments[1], int):
        return lambda x: _opset("softmax")(x[0], x[1])
    return None


def _opset(name: str) -> Callable[..., Output]:
    from openvino import opset14 as ops

    found: Callable[..., Output] = getattr(ops, name)
    return found


def _is_operand(item: Any) -> bool:
    return isinstance(item, tuple) and item[0] == "%"


def _is_operand_or_number(item: Any) -> bool:
    return _is_operand(item) or (isinstance(item, (int, float)) and not isinstance(item, bool))


def _operand(item: Any, operands: Sequence[Output]) -> Any:
    return operands[item[1]] if _is_operand(item) else item


def _as_output(item: Any) -> Any:
    return np.float32(item) if isinstance(item, (int, float)) else item
