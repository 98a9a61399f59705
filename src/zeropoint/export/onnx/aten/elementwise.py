"""Elementwise operators."""

import math
from collections.abc import Mapping

from zeropoint.export.onnx.aten.arguments import Argument, Rule, extent_of, rank, tensor
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet


def unary(operator: str) -> Rule:
    """An operator that ONNX has under a name of its own."""

    def rule(sheet: Sheet, x: Operand) -> str:
        return sheet.emit(operator, x.name)

    return rule


def binary(operator: str) -> Rule:
    """An operator on two tensors that broadcast, or a tensor and a number."""

    def rule(sheet: Sheet, a: Argument, b: Argument, alpha: float = 1) -> str:
        right = tensor(sheet, b)
        if alpha != 1:
            right = sheet.emit("Mul", right, sheet.number(float(alpha)))
        return sheet.emit(operator, tensor(sheet, a), right)

    return rule


def rsub(sheet: Sheet, a: Argument, b: Argument, alpha: float = 1) -> str:
    """The second less alpha times the first."""
    right = sheet.emit("Mul", tensor(sheet, a), sheet.number(float(alpha)))
    return sheet.emit("Sub", tensor(sheet, b), right)


def rsqrt(sheet: Sheet, x: Operand) -> str:
    """1 / sqrt(x)."""
    return sheet.emit("Reciprocal", sheet.emit("Sqrt", x.name))


def silu(sheet: Sheet, x: Operand) -> str:
    """The product x sigmoid(x)."""
    return sheet.emit("Mul", x.name, sheet.emit("Sigmoid", x.name))


def hardsigmoid(sheet: Sheet, x: Operand) -> str:
    """clamp(x / 6 + 1 / 2, 0, 1)."""
    sixth = sheet.emit("Div", x.name, sheet.number(6.0))
    shifted = sheet.emit("Add", sixth, sheet.number(0.5))
    return sheet.emit("Clip", shifted, sheet.number(0.0), sheet.number(1.0))


def hardswish(sheet: Sheet, x: Operand) -> str:
    """The product x hardsigmoid(x)."""
    return sheet.emit("Mul", x.name, hardsigmoid(sheet, x))


def gelu(sheet: Sheet, x: Operand, approximate: str = "none") -> str:
    """The normal distribution up to x, times x; by erf, or by tanh as torch approximates it."""
    half = sheet.emit("Mul", x.name, sheet.number(0.5))
    one = sheet.number(1.0)
    if approximate == "none":
        inner = sheet.emit("Erf", sheet.emit("Mul", x.name, sheet.number(math.sqrt(0.5))))
    else:
        square = sheet.emit("Mul", x.name, x.name)
        factor = sheet.emit("Mul", square, sheet.number(0.044715))
        factor = sheet.emit("Mul", x.name, sheet.emit("Add", factor, one))
        inner = sheet.emit("Tanh", sheet.emit("Mul", factor, sheet.number(math.sqrt(2 / math.pi))))
    return sheet.emit("Mul", half, sheet.emit("Add", inner, one))


def mish(sheet: Sheet, x: Operand) -> str:
    """The product x tanh(softplus(x))."""
    inner = sheet.emit("Tanh", sheet.emit("Softplus", x.name))
    return sheet.emit("Mul", x.name, inner)


def softplus(sheet: Sheet, x: Operand, beta: float = 1, threshold: float = 20) -> str:
    """log(1 + exp(beta x)) / beta."""
    if beta == 1:
        return sheet.emit("Softplus", x.name)
    factor = sheet.number(float(beta))
    return sheet.emit("Div", sheet.emit("Softplus", sheet.emit("Mul", x.name, factor)), factor)


def leaky_relu(sheet: Sheet, x: Operand, slope: float = 0.01) -> str:
    """Itself, or slope x below zero."""
    return sheet.emit("LeakyRelu", x.name, alpha=float(slope))


def elu(
    sheet: Sheet, x: Operand, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> str:
    """Itself, or alpha (exp(x) - 1) below zero."""
    if scale != 1 or input_scale != 1:
        raise ValueError("scale or input_scale other than 1")
    return sheet.emit("Elu", x.name, alpha=float(alpha))


def prelu(sheet: Sheet, x: Operand, weight: Operand) -> str:
    """Itself, or weight x below zero, a weight for each channel."""
    if extent_of(weight, 0) == 1 or rank(x) == 2:
        return sheet.emit("PRelu", x.name, weight.name)
    shape = sheet.integers([-1, *[1] * (rank(x) - 2)])
    return sheet.emit("PRelu", x.name, sheet.emit("Reshape", weight.name, shape))


def clamp(sheet: Sheet, x: Operand, low: Argument = None, high: Argument = None) -> str:
    """Clamp by numbers or tensors."""
    result = x.name
    if low is not None:
        result = sheet.emit("Max", result, tensor(sheet, low))
    return result if high is None else sheet.emit("Min", result, tensor(sheet, high))


def where(sheet: Sheet, condition: Operand, a: Operand, b: Operand) -> str:
    """One where the condition holds, the other elsewhere."""
    return sheet.emit("Where", condition.name, a.name, b.name)


UNARY = {
    "abs": "Abs", "ceil": "Ceil", "cos": "Cos", "erf": "Erf", "exp": "Exp", "floor": "Floor",
    "log": "Log", "neg": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "round": "Round",
    "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "softsign": "Softsign", "sqrt": "Sqrt",
    "tanh": "Tanh",
}  # fmt: skip
BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}

RULES: Mapping[str, Rule] = {
    **{f"aten.{name}.default": unary(operator) for name, operator in UNARY.items()},
    **{
        f"aten.{name}.{kind}": binary(operator)
        for name, operator in BINARY.items()
        for kind in ("Tensor", "Scalar")
    },
    "aten.pow.Tensor_Scalar": binary("Pow"),
    "aten.pow.Tensor_Tensor": binary("Pow"),
    "aten.maximum.default": binary("Max"),
    "aten.minimum.default": binary("Min"),
    "aten.rsub.Scalar": rsub,
    "aten.rsqrt.default": rsqrt,
    "aten.silu.default": silu,
    "aten.hardsigmoid.default": hardsigmoid,
    "aten.hardswish.default": hardswish,
    "aten.gelu.default": gelu,
    "aten.mish.default": mish,
    "aten.softplus.default": softplus,
    "aten.leaky_relu.default": leaky_relu,
    "aten.elu.default": elu,
    "aten.prelu.default": prelu,
    "aten.clamp.default": clamp,
    "aten.clamp.Tensor": clamp,
    "aten.clamp_min.default": clamp,
    "aten.where.self": where,
}
