"""Any function of one value, element by element.

    float     y = f(x)
    integer   q_y = T[q_x],   T[q] = clamp(round(f(s_x (q - z_x)) / s_y) + z_y, low, high)     (4)

Sigmoid, SiLU, GELU, a power, a sum with a number, and every composition of them are one table of
2^bits entries, made in float64: exact to half a step of the result. The functions are in
`functions.py`; passes compose them and let layers take them along.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.arithmetic import lookup
from zeropoint.arithmetic.qparams import QParams
from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.errors import ProgramError
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Plain, Shape, Size, Value
from zeropoint.ops.functions import Step, Steps, evaluate, place


@dataclass(frozen=True)
class Table(IntegerOp):
    """x of any shape; `steps` as in functions.py."""

    name: ClassVar[str] = "table"
    grid: ClassVar[Grid] = Grid.OWN

    steps: Steps

    def roles(self, count: int) -> tuple[Role, ...]:
        """One activation."""
        return (Role.ACTIVATION,)

    def run(self, x: Tensor) -> Tensor:
        """The float form."""
        return evaluate(self.steps, x)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        (q,), (x,) = inputs, signature.inputs
        return self.entries(x, signature.output)[q.to(torch.int64) - x.type.low]

    def entries(self, x: QParams, y: QParams) -> Tensor:
        """Equation (4): the code on `y` for each code of the type of `x`, the lowest first.

        ProgramError if the function is not a number at any of them.
        """
        try:
            return lookup.table(lambda real: evaluate(self.steps, real), x, y)
        except ValueError as error:
            raise ProgramError(f"{self.steps}: {error}") from error


INFINITE = float("inf")
AT_RUN_TIME = "a number in it is computed at run time"


def has_gaps(op: Table, x: QParams) -> bool:
    """True if the function is infinite or no number at some code: then only the table is right."""
    return not lookup.is_finite(lambda real: evaluate(op.steps, real), x)


def tabulated(to: Builder, shape: Shape, x: Value, *steps: Step) -> Value | str:
    """Capture of a function of x; every number in it has to be known."""
    if not is_real(x):
        return "it computes with integers"
    if not all(isinstance(item, str | float | None) for step in steps for item in step):
        return AT_RUN_TIME
    if any(item in (INFINITE, -INFINITE) for step in steps for item in step):
        return "a number in it is infinite"
    if len(shape) != len(x.shape):
        return "its number has more dimensions than its operand"
    return to.emit(Table(steps), x, shape=shape)


def why_no_pair(a: Value, b: object) -> str | None:
    """Why the operands are not two tensors of real numbers; None if they are."""
    if not isinstance(b, Value) or isinstance(b.type, Size):
        return AT_RUN_TIME
    return None if is_real(a) and is_real(b) else "it computes with integers"


def is_real(value: Value) -> bool:
    """True for a tensor of floating-point numbers."""
    return isinstance(value.type, Plain) and value.type.dtype.is_floating_point


def number_of(to: Builder, item: Value | float) -> float | None:
    """The number that an operand is, or that a constant of one element holds; None for others."""
    if isinstance(item, int | float):
        return float(item)
    tensor = to.tensor(item) if isinstance(item, Value) else None
    return float(tensor.item()) if tensor is not None and tensor.numel() == 1 else None


Rule = Callable[..., Value | str]


def _named(function: str, *defaults: float) -> Rule:
    """The rule of a function whose numbers follow its operand; `defaults` are torch's."""

    def rule(to: Builder, shape: Shape, x: Value, *numbers: float) -> Value | str:
        given = (*numbers, *defaults[len(numbers) :])
        read = tuple(float(n) if isinstance(n, int) else n for n in given)
        return tabulated(to, shape, x, (function, "x", *read))

    return rule


def gelu(to: Builder, shape: Shape, x: Value, approximate: str = "none") -> Value | str:
    """Capture of GELU, exact or by tanh."""
    return tabulated(to, shape, x, ("gelu" if approximate == "none" else "gelu_tanh", "x"))


def elu(
    to: Builder, shape: Shape, x: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> Value | str:
    """Capture of ELU: scale x, or below zero scale alpha (exp(input_scale x) - 1)."""
    steps: list[Step] = [("elu", "x", float(alpha * input_scale))]
    if input_scale != 1:
        steps = [("mul", "x", float(input_scale)), ("elu", "x1", float(alpha * input_scale))]
    if scale != input_scale:
        steps.append(("mul", place(len(steps)), float(scale / input_scale)))
    return tabulated(to, shape, x, *steps)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
"""Klambauer et al. 2017, equation (14)."""


def selu(to: Builder, shape: Shape, x: Value) -> Value | str:
    """Capture of SELU."""
    return elu(to, shape, x, SELU_ALPHA, SELU_SCALE)


def celu(to: Builder, shape: Shape, x: Value, alpha: float = 1.0) -> Value | str:
    """Capture of CELU: alpha (exp(x / alpha) - 1) below zero."""
    return elu(to, shape, x, alpha, 1.0, 1.0 / alpha)


def rrelu(
    to: Builder,
    shape: Shape,
    x: Value,
    low: float = 1 / 8,
    high: float = 1 / 3,
    training: bool = False,
    generator: object = None,
) -> Value | str:
    """Capture of RReLU, whose slope is the middle one at inference."""
    if training:
        return "its slope is random"
    return tabulated(to, shape, x, ("leaky_relu", "x", (low + high) / 2))


def power(to: Builder, shape: Shape, x: Value, exponent: float) -> Value | str:
    """Capture of x to the power of a number."""
    number = number_of(to, exponent)
    if number is None:
        return AT_RUN_TIME
    return tabulated(to, shape, x, ("square", "x") if number == 2.0 else ("pow", "x", number))


def exponential(to: Builder, shape: Shape, base: float, x: Value) -> Value | str:
    """Capture of a number to the power of x."""
    return tabulated(to, shape, x, ("pow", float(base), "x"))


WITHOUT_NUMBERS = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "erfc",
    "exp", "exp2", "expm1", "floor", "frac", "hardsigmoid", "hardswish", "log", "log10", "log1p",
    "log2", "log_sigmoid", "mish", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "silu",
    "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
)  # fmt: skip

OPS = (Table,)
CAPTURES: dict[str, Rule] = {
    **{f"aten.{name}.default": _named(name) for name in WITHOUT_NUMBERS},
    "aten.celu.default": celu,
    "aten.elu.default": elu,
    "aten.gelu.default": gelu,
    "aten.hardshrink.default": _named("hardshrink", 0.5),
    "aten.leaky_relu.default": _named("leaky_relu", 0.01),
    "aten.pow.Scalar": exponential,
    "aten.pow.Tensor_Scalar": power,
    "aten.pow.Tensor_Tensor": power,
    "aten.rrelu.default": rrelu,
    "aten.selu.default": selu,
    "aten.softplus.default": _named("softplus", 1.0, 20.0),
    "aten.softshrink.default": _named("softshrink", 0.5),
    "aten.threshold.default": _named("threshold"),
}
