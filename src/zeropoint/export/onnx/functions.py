"""Functions of one value (ops/functions.py) in ONNX, step by step or as a table of codes.

A runtime finds Sigmoid, LeakyRelu and their like between DequantizeLinear and QuantizeLinear, and
makes integer kernels of them. Every function at all can be read off its table: GatherElements is
the fastest way to do so that runtimes have.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.graph.op import Signature
from zeropoint.ops.functions import Steps, interpreted
from zeropoint.ops.table import Table

Item = str | float | None
"""The name of a tensor, a number, or a bound that is not there."""

Writer = Callable[..., str]  # (sheet, items...) -> the result

STRAIGHT = 15.0
"""Where log(1 + exp(x)) is x to float32: a softplus that is x from there on needs no telling."""


def is_writable(function: Steps) -> bool:
    """True if ONNX has operators for every step."""
    return all(name in WRITERS for name, *_ in function)


def applied(sheet: Sheet, function: Steps, x: str) -> str:
    """The function of real numbers; Refusal if ONNX has no operators for it."""
    if not is_writable(function):
        names = ", ".join(str(step[0]) for step in function)
        raise Refusal(f"the function ({names}) of real numbers")
    result: str = interpreted(function, x, lambda name, *read: WRITERS[name](sheet, *read))
    return result


def looked_up(sheet: Sheet, op: Table, q: str, signature: Signature) -> str:
    """The entry of the table for each code."""
    (x,), y = signature.inputs, signature.output
    table = sheet.constant(f"{sheet.hint}.table", op.entries(x, y).numpy()[None])  # (1, 2^bits)
    row = sheet.emit("Cast", sheet.emit("Flatten", q, axis=0), to=INT32)  # (1, n)
    if x.type.signed:
        row = sheet.emit("Sub", row, sheet.number(x.type.low, np.int32))
    found = sheet.emit("GatherElements", table, row, axis=1)
    return sheet.emit("Reshape", found, sheet.emit("Shape", q))


INT32, FLOAT = 6, 1


def tensor(sheet: Sheet, item: Item) -> str:
    """A tensor's name, or a number as a constant."""
    assert item is not None  # only bounds may be missing
    return item if isinstance(item, str) else sheet.number(item)


def unary(operator: str) -> Writer:
    """An operator that ONNX has under a name of its own."""
    return lambda sheet, x: sheet.emit(operator, x)


def binary(operator: str) -> Writer:
    """An operator on two tensors, or a tensor and a number."""
    return lambda sheet, a, b: sheet.emit(operator, tensor(sheet, a), tensor(sheet, b))


def compared(operator: str) -> Writer:
    """1 where the comparison holds, 0 elsewhere."""
    return lambda sheet, a, b: sheet.emit("Cast", binary(operator)(sheet, a, b), to=FLOAT)


def clamp(sheet: Sheet, x: str, low: Item, high: Item) -> str:
    """Clamp by numbers. Where low > high, high wins, as in torch."""
    if (low, high) == (0.0, None):
        return sheet.emit("Relu", x)
    if isinstance(low, float) and isinstance(high, float):
        low = min(low, high)
    return sheet.emit(
        "Clip", x, *("" if end is None else tensor(sheet, end) for end in (low, high))
    )


def elu(sheet: Sheet, x: str, alpha: float) -> str:
    """Itself, or alpha (exp(x) - 1) below zero."""
    return sheet.emit("Elu", x, alpha=float(alpha))


def exp2(sheet: Sheet, x: str) -> str:
    """Two to the power of x."""
    return sheet.emit("Pow", sheet.number(2.0), x)


def gelu(sheet: Sheet, x: str) -> str:
    """The normal distribution up to x, times x."""
    inner = sheet.emit("Erf", sheet.emit("Mul", x, sheet.number(math.sqrt(0.5))))
    return _half_of_one_more(sheet, x, inner)


def gelu_tanh(sheet: Sheet, x: str) -> str:
    """The same as torch approximates it by tanh."""
    square = sheet.emit("Mul", x, x)
    factor = sheet.emit("Mul", square, sheet.number(0.044715))
    factor = sheet.emit("Mul", x, sheet.emit("Add", factor, sheet.number(1.0)))
    inner = sheet.emit("Tanh", sheet.emit("Mul", factor, sheet.number(math.sqrt(2 / math.pi))))
    return _half_of_one_more(sheet, x, inner)


def _half_of_one_more(sheet: Sheet, x: str, inner: str) -> str:
    half = sheet.emit("Mul", x, sheet.number(0.5))
    return sheet.emit("Mul", half, sheet.emit("Add", inner, sheet.number(1.0)))


def hardsigmoid(sheet: Sheet, x: str) -> str:
    """clamp(x / 6 + 1 / 2, 0, 1)."""
    sixth = sheet.emit("Div", x, sheet.number(6.0))
    shifted = sheet.emit("Add", sixth, sheet.number(0.5))
    return sheet.emit("Clip", shifted, sheet.number(0.0), sheet.number(1.0))


def hardswish(sheet: Sheet, x: str) -> str:
    """The product x hardsigmoid(x)."""
    return sheet.emit("Mul", x, hardsigmoid(sheet, x))


def leaky_relu(sheet: Sheet, x: str, slope: float = 0.01) -> str:
    """Itself, or slope x below zero."""
    return sheet.emit("LeakyRelu", x, alpha=float(slope))


def log_of(base: float) -> Writer:
    """The logarithm to a base."""
    return lambda sheet, x: sheet.emit("Div", sheet.emit("Log", x), sheet.number(math.log(base)))


def log1p(sheet: Sheet, x: str) -> str:
    """log(1 + x)."""
    return sheet.emit("Log", sheet.emit("Add", x, sheet.number(1.0)))


def expm1(sheet: Sheet, x: str) -> str:
    """exp(x) - 1."""
    return sheet.emit("Sub", sheet.emit("Exp", x), sheet.number(1.0))


def log_sigmoid(sheet: Sheet, x: str) -> str:
    """-softplus(-x)."""
    return sheet.emit("Neg", sheet.emit("Softplus", sheet.emit("Neg", x)))


def mish(sheet: Sheet, x: str) -> str:
    """The product x tanh(softplus(x))."""
    return sheet.emit("Mul", x, sheet.emit("Tanh", sheet.emit("Softplus", x)))


def rsqrt(sheet: Sheet, x: str) -> str:
    """1 / sqrt(x)."""
    return sheet.emit("Reciprocal", sheet.emit("Sqrt", x))


def shrink(*, soft: bool) -> Writer:
    """Zero between -number and number; beyond it x, nearer to zero by the number if `soft`."""

    def write(sheet: Sheet, x: str, number: float) -> str:
        return sheet.emit("Shrink", x, lambd=float(number), bias=float(number) if soft else 0.0)

    return write


def silu(sheet: Sheet, x: str, beta: float = 1.0) -> str:
    """The product x sigmoid(beta x)."""
    scaled = x if beta == 1.0 else sheet.emit("Mul", x, sheet.number(beta))
    return sheet.emit("Mul", x, sheet.emit("Sigmoid", scaled))


def softplus(sheet: Sheet, x: str, beta: float = 1.0, threshold: float = 20.0) -> str:
    """log(1 + exp(beta x)) / beta, or x itself where beta x is above the threshold."""
    factor = sheet.number(float(beta))
    scaled = x if beta == 1.0 else sheet.emit("Mul", x, factor)
    y = sheet.emit("Softplus", scaled)
    y = y if beta == 1.0 else sheet.emit("Div", y, factor)
    if threshold >= STRAIGHT:
        return y
    above = sheet.emit("Greater", scaled, sheet.number(threshold))
    return sheet.emit("Where", above, x, y)


def square(sheet: Sheet, x: str) -> str:
    """The product x x."""
    return sheet.emit("Mul", x, x)


def threshold(sheet: Sheet, x: str, bound: float, value: float) -> str:
    """Itself above a bound, a value below."""
    above = sheet.emit("Greater", x, sheet.number(bound))
    return sheet.emit("Where", above, x, sheet.number(value))


def where(sheet: Sheet, condition: str, a: Item, b: Item) -> str:
    """One where the condition is not 0, the other elsewhere."""
    holds = sheet.emit("Cast", condition, to=9)
    return sheet.emit("Where", holds, tensor(sheet, a), tensor(sheet, b))


UNARY = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh",
    "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf",
    "exp": "Exp", "floor": "Floor", "log": "Log", "neg": "Neg", "reciprocal": "Reciprocal",
    "round": "Round", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "softsign": "Softsign", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
BINARY = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "maximum": "Max",
    "minimum": "Min",
}  # fmt: skip
COMPARISONS = {
    "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual",
}  # fmt: skip

WRITERS: Mapping[str, Writer] = {
    **{name: unary(operator) for name, operator in UNARY.items()},
    **{name: binary(operator) for name, operator in BINARY.items()},
    **{name: compared(operator) for name, operator in COMPARISONS.items()},
    "clamp": clamp,
    "elu": elu,
    "exp2": exp2,
    "expm1": expm1,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "hardshrink": shrink(soft=False),
    "hardsigmoid": hardsigmoid,
    "hardswish": hardswish,
    "leaky_relu": leaky_relu,
    "log10": log_of(10.0),
    "log1p": log1p,
    "log2": log_of(2.0),
    "log_sigmoid": log_sigmoid,
    "mish": mish,
    "rsqrt": rsqrt,
    "silu": silu,
    "softplus": softplus,
    "softshrink": shrink(soft=True),
    "square": square,
    "threshold": threshold,
    "where": where,
}
