"""Elementwise operators."""

import math
from collections.abc import Mapping

import torch

from zeropoint.export.onnx import functions
from zeropoint.export.onnx.aten.arguments import Argument, Rule, common, extent_of, rank, tensor
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet


def unary(operator: str) -> Rule:
    """An operator that ONNX has under a name of its own."""

    def rule(sheet: Sheet, x: Operand) -> str:
        return sheet.emit(operator, x.name)

    return rule


def function(name: str) -> Rule:
    """A function of one value, whose numbers follow its operand."""

    def rule(sheet: Sheet, x: Operand, *numbers: float) -> str:
        return functions.WRITERS[name](sheet, x.name, *numbers)

    return rule


def binary(operator: str) -> Rule:
    """An operator on two tensors that broadcast, or a tensor and a number."""

    def rule(sheet: Sheet, a: Argument, b: Argument, alpha: float = 1) -> str:
        dtype = common(a, b, *([] if alpha == 1 else [alpha]))
        if operator == "Div" and not dtype.is_floating_point:
            dtype = torch.float32
        left, right = tensor(sheet, a, dtype), tensor(sheet, b, dtype)
        if alpha != 1:
            right = sheet.emit("Mul", right, tensor(sheet, alpha, dtype))
        return sheet.emit(operator, left, right)

    return rule


def clamp_max(sheet: Sheet, x: Operand, high: Argument) -> str:
    """Clamp from above."""
    return clamp(sheet, x, None, high)


def logarithm(base: float) -> Rule:
    """The logarithm to that base."""

    def rule(sheet: Sheet, x: Operand) -> str:
        return sheet.emit("Div", sheet.emit("Log", x.name), sheet.number(math.log(base)))

    return rule


def exponential_less_one(sheet: Sheet, x: Operand) -> str:
    """Exp(x) - 1."""
    return sheet.emit("Sub", sheet.emit("Exp", x.name), sheet.number(1.0))


def logarithm_of_one_more(sheet: Sheet, x: Operand) -> str:
    """Log(1 + x)."""
    return sheet.emit("Log", sheet.emit("Add", x.name, sheet.number(1.0)))


def power_of_number(sheet: Sheet, base: float, x: Operand) -> str:
    """A number to the power of a tensor."""
    return sheet.emit("Pow", sheet.number(base), x.name)


def square(sheet: Sheet, x: Operand) -> str:
    """A number times itself."""
    return sheet.emit("Mul", x.name, x.name)


def glu(sheet: Sheet, x: Operand, axis: int = -1) -> str:
    """One half of the channels, times the sigmoid of the other."""
    half = extent_of(x, axis) // 2
    values, gates = sheet.emit_many(
        "Split", 2, x.name, sheet.integers([half, half]), axis=axis % rank(x)
    )
    return sheet.emit("Mul", values, sheet.emit("Sigmoid", gates))


def log_sigmoid(sheet: Sheet, x: Operand) -> str:
    """The logarithm of the sigmoid."""
    return sheet.emit("Neg", sheet.emit("Softplus", sheet.emit("Neg", x.name)))


def divided(sheet: Sheet, a: Argument, b: Argument, rounding_mode: str | None = None) -> str:
    """A quotient, rounded down or towards zero."""
    dtype = common(a, b)
    if not dtype.is_floating_point and rounding_mode is not None:
        return _whole_quotient(
            sheet, tensor(sheet, a, dtype), tensor(sheet, b, dtype), rounding_mode
        )
    quotient = binary("Div")(sheet, a, b)
    assert isinstance(quotient, str)
    if rounding_mode == "floor":
        return sheet.emit("Floor", quotient)
    if rounding_mode == "trunc":
        return sheet.emit(
            "Mul", sheet.emit("Sign", quotient), sheet.emit("Floor", sheet.emit("Abs", quotient))
        )
    return quotient


def _whole_quotient(sheet: Sheet, a: str, b: str, rounding: str) -> str:
    if rounding == "floor":
        a = sheet.emit("Sub", a, sheet.emit("Mod", a, b))
    return sheet.emit("Div", a, b)


def floor_divide(sheet: Sheet, a: Argument, b: Argument) -> str:
    """A quotient, rounded down."""
    return divided(sheet, a, b, "floor")


def remainder(sheet: Sheet, a: Argument, b: Argument) -> str:
    """What is left of a division that rounds down: it has the sign of the divisor."""
    dtype = common(a, b)
    left, right = tensor(sheet, a, dtype), tensor(sheet, b, dtype)
    if not dtype.is_floating_point:
        return sheet.emit("Mod", left, right)
    whole = sheet.emit("Floor", sheet.emit("Div", left, right))
    return sheet.emit("Sub", left, sheet.emit("Mul", right, whole))


def rsub(sheet: Sheet, a: Argument, b: Argument, alpha: float = 1) -> str:
    """The second less alpha times the first."""
    dtype = common(a, b, alpha)
    right = sheet.emit("Mul", tensor(sheet, a, dtype), tensor(sheet, alpha, dtype))
    return sheet.emit("Sub", tensor(sheet, b, dtype), right)


def gelu(sheet: Sheet, x: Operand, approximate: str = "none") -> str:
    """The normal distribution up to x, times x; by erf, or by tanh as torch approximates it."""
    write = functions.gelu if approximate == "none" else functions.gelu_tanh
    return write(sheet, x.name)


def elu(
    sheet: Sheet, x: Operand, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> str:
    """Itself, or alpha (exp(x) - 1) below zero."""
    if scale != 1 or input_scale != 1:
        raise ValueError("scale or input_scale other than 1")
    return functions.elu(sheet, x.name, alpha)


def prelu(sheet: Sheet, x: Operand, weight: Operand) -> str:
    """Itself, or weight x below zero, a weight for each channel."""
    if extent_of(weight, 0) == 1 or rank(x) == 2:
        return sheet.emit("PRelu", x.name, weight.name)
    shape = sheet.integers([-1, *[1] * (rank(x) - 2)])
    return sheet.emit("PRelu", x.name, sheet.emit("Reshape", weight.name, shape))


def clamp(sheet: Sheet, x: Operand, low: Argument = None, high: Argument = None) -> str:
    """Clamp by numbers or tensors."""
    dtype = common(*[item for item in (x, low, high) if item is not None])
    result = tensor(sheet, x, dtype)
    if low is not None:
        result = sheet.emit("Max", result, tensor(sheet, low, dtype))
    return result if high is None else sheet.emit("Min", result, tensor(sheet, high, dtype))


FUNCTIONS = (
    "abs", "ceil", "cos", "erf", "exp", "floor", "hardsigmoid", "hardswish", "leaky_relu", "log",
    "mish", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "silu", "sin", "softplus",
    "softsign", "sqrt", "tanh",
)  # fmt: skip
UNARY = {
    "tan": "Tan", "atan": "Atan", "asin": "Asin", "acos": "Acos", "sinh": "Sinh", "cosh": "Cosh",
    "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "selu": "Selu", "detach": "Identity",
    "alias": "Identity", "lift_fresh_copy": "Identity",
}  # fmt: skip
BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}

RULES: Mapping[str, Rule] = {
    **{f"aten.{name}.default": function(name) for name in FUNCTIONS},
    **{
        f"aten.{name}.{kind}": binary(operator)
        for name, operator in BINARY.items()
        for kind in ("Tensor", "Scalar")
    },
    "aten.relu.default": unary("Relu"),
    "aten.pow.Tensor_Scalar": binary("Pow"),
    "aten.pow.Tensor_Tensor": binary("Pow"),
    "aten.maximum.default": binary("Max"),
    "aten.minimum.default": binary("Min"),
    "aten.rsub.Scalar": rsub,
    "aten.gelu.default": gelu,
    "aten.elu.default": elu,
    "aten.prelu.default": prelu,
    "aten.clamp.default": clamp,
    "aten.clamp.Tensor": clamp,
    "aten.clamp_min.default": clamp,
    "aten.clamp_min.Tensor": clamp,
    "aten.clamp_max.default": clamp_max,
    "aten.log2.default": logarithm(2.0),
    "aten.log10.default": logarithm(10.0),
    "aten.expm1.default": exponential_less_one,
    "aten.log1p.default": logarithm_of_one_more,
    "aten.pow.Scalar": power_of_number,
    "aten.square.default": square,
    **{f"aten.{name}.default": unary(operator) for name, operator in UNARY.items()},
    "aten.glu.default": glu,
    "aten.log_sigmoid.default": log_sigmoid,
    "aten.div.Tensor_mode": divided,
    "aten.div.Scalar_mode": divided,
    "aten.floor_divide.default": floor_divide,
    "aten.floor_divide.Scalar": floor_divide,
    "aten.remainder.Tensor": remainder,
    "aten.remainder.Scalar": remainder,
    "aten.rsub.Tensor": rsub,
}
