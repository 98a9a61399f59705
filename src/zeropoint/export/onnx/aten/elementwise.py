"""Elementwise operators."""

from collections.abc import Mapping

from zeropoint.export.onnx import functions
from zeropoint.export.onnx.aten.arguments import Argument, Rule, extent_of, rank, tensor
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
        right = tensor(sheet, b)
        if alpha != 1:
            right = sheet.emit("Mul", right, sheet.number(float(alpha)))
        return sheet.emit(operator, tensor(sheet, a), right)

    return rule


def rsub(sheet: Sheet, a: Argument, b: Argument, alpha: float = 1) -> str:
    """The second less alpha times the first."""
    right = sheet.emit("Mul", tensor(sheet, a), sheet.number(float(alpha)))
    return sheet.emit("Sub", tensor(sheet, b), right)


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
    result = x.name
    if low is not None:
        result = sheet.emit("Max", result, tensor(sheet, low))
    return result if high is None else sheet.emit("Min", result, tensor(sheet, high))


def where(sheet: Sheet, condition: Operand, a: Operand, b: Operand) -> str:
    """One where the condition holds, the other elsewhere."""
    return sheet.emit("Where", condition.name, a.name, b.name)


FUNCTIONS = (
    "abs", "ceil", "cos", "erf", "exp", "floor", "hardsigmoid", "hardswish", "leaky_relu", "log",
    "mish", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "silu", "sin", "softplus",
    "softsign", "sqrt", "tanh",
)  # fmt: skip
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
    "aten.where.self": where,
}
