"""Functions of one real number: what tables tabulate, and what layers apply to their accumulators.

A function is written as steps. A step names one of FUNCTIONS and what it is applied to: "x" is the
function's argument, "x1", "x2", ... are the results of the steps before; floats are numbers, None
is a bound that is not there. The last step's result is the function's.

    silu                    (("silu", "x"),)
    x relu6(x + 3) / 6      (("add", "x", 3.0), ("clamp", "x1", 0.0, 6.0), ("mul", "x", "x2"),
                             ("div", "x3", 6.0))

Steps are tuples of numbers and strings, so that they print, parse and are saved as they are.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Operand = str | float | None
Step = tuple[Operand, ...]
"""The name of a function, then its operands."""

Steps = tuple[Step, ...]

Number = Any  # a Tensor, or a float: what an operand stands for


@dataclass(frozen=True)
class Function:
    """How torch computes it, in the precision of its operands.

    `tame`: it is finite for every finite number, and far from zero it goes its way to a constant or
    to infinity. Only such functions may be applied to an accumulator, which can have any value.
    """

    run: Callable[..., Number]
    tame: bool = True


def _silu(x: Tensor, beta: float = 1.0) -> Tensor:
    return F.silu(x) if beta == 1.0 else x * torch.sigmoid(beta * x)


def _elu(x: Tensor, alpha: float) -> Tensor:
    return F.elu(x, alpha)


def _softplus(x: Tensor, beta: float, threshold: float) -> Tensor:
    return F.softplus(x, beta, threshold)


def _threshold(x: Tensor, bound: float, value: float) -> Tensor:
    return F.threshold(x, bound, value)


def _compare(how: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
    return lambda x, number: how(x, number).to(x.dtype)


def _where(condition: Tensor, a: Number, b: Number) -> Tensor:
    return torch.where(condition != 0, a, b)


TAME: Mapping[str, Callable[..., Number]] = {
    "abs": torch.abs,
    "add": operator.add,
    "clamp": torch.clamp,
    "elu": _elu,
    "erf": torch.erf,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hardshrink": F.hardshrink,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "leaky_relu": F.leaky_relu,
    "log_sigmoid": F.logsigmoid,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mish": F.mish,
    "mul": operator.mul,
    "neg": torch.neg,
    "sigmoid": torch.sigmoid,
    "silu": _silu,
    "softplus": _softplus,
    "softshrink": F.softshrink,
    "softsign": F.softsign,
    "square": torch.square,
    "sub": operator.sub,
    "tanh": torch.tanh,
    "threshold": _threshold,
}

WILD: Mapping[str, Callable[..., Number]] = {
    "div": operator.truediv,
    "greater": _compare(torch.gt),
    "greater_equal": _compare(torch.ge),
    "less": _compare(torch.lt),
    "less_equal": _compare(torch.le),
    "pow": operator.pow,
    "where": _where,
    **{
        name: getattr(torch, name)
        for name in (
            "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erfc", "exp",
            "exp2", "expm1", "floor", "frac", "log", "log10", "log1p", "log2", "reciprocal",
            "round", "rsqrt", "sign", "sin", "sinh", "sqrt", "tan", "trunc",
        )
    },
}  # fmt: skip

FUNCTIONS: Mapping[str, Function] = {
    **{name: Function(run) for name, run in TAME.items()},
    **{name: Function(run, tame=False) for name, run in WILD.items()},
}

UNARY = frozenset({1})

OPERANDS: Mapping[str, frozenset[int]] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "pow", "maximum", "minimum"), frozenset({2})),
    **dict.fromkeys(("greater", "greater_equal", "less", "less_equal", "elu"), frozenset({2})),
    **dict.fromkeys(("silu", "leaky_relu", "hardshrink", "softshrink"), frozenset({1, 2})),
    **dict.fromkeys(("clamp", "softplus", "threshold", "where"), frozenset({3})),
}
"""How many operands a function may have, x included; those that are not here have one."""

ARGUMENT = "x"

MOST_STEPS = 1000
"""Of one function: so many that no model has them."""


def place(number: int) -> str:
    """What the result of a step is called, by how many steps there are up to it; 0 is x itself."""
    return f"{ARGUMENT}{number}" if number else ARGUMENT


def evaluate(steps: Steps, x: Tensor) -> Tensor:
    """The function of x, in the precision of x."""
    result: Tensor = interpreted(steps, x, lambda name, *read: FUNCTIONS[name].run(*read))
    return result


def interpreted(steps: Steps, x: Any, call: Callable[..., Any]) -> Any:
    """The result of the last step; a step is `call(name, operands...)` on what its places hold."""
    values: dict[str, Any] = {ARGUMENT: x}
    result = x
    for count, (name, *operands) in enumerate(steps, start=1):
        read = [values[item] if isinstance(item, str) else item for item in operands]
        result = values[place(count)] = call(str(name), *read)
    return result


def is_function(steps: Steps) -> bool:
    """True if every step names a function, and applies it to what it can be applied to."""
    x = torch.ones(1)
    try:
        if len(steps) > MOST_STEPS or not all(map(_is_step, steps)):
            return False
        y = evaluate(steps, x)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, ArithmeticError):
        return False
    return isinstance(y, Tensor) and (y.dtype, y.shape) == (x.dtype, x.shape)


def _is_step(step: Step) -> bool:
    """True if a function is applied to as many operands as it has, each a place or a float."""
    name, *operands = step or ("",)
    known = all(item is None or type(item) in (str, float) for item in operands)
    return known and isinstance(name, str) and len(operands) in OPERANDS.get(name, UNARY)


def is_defined(steps: Steps) -> bool:
    """True if the function is a number, or infinite, wherever an accumulator may lie."""
    sizes = torch.exp2(torch.arange(-100, 101, dtype=torch.float64))
    x = torch.cat([PROBES.to(torch.float64), -sizes, sizes])
    return not bool(torch.isnan(evaluate(steps, x)).any())


def is_tame(steps: Steps) -> bool:
    """True if the function is finite for every finite number and settles or grows far from zero."""
    return all(_is_tame(str(name), operands[-1]) for name, *operands in steps)


def is_proportional(steps: Steps) -> bool:
    """True if f(k x) = k f(x) for every k > 0, as far as k = 2 tells; so it is without steps."""
    sizes = torch.exp2(torch.arange(-40, 41, dtype=torch.float64) * 0.75)
    x = torch.cat([-sizes, sizes])
    return not steps or torch.equal(evaluate(steps, 2 * x), 2 * evaluate(steps, x))


def _is_tame(name: str, last: object) -> bool:
    if name == "div":
        return isinstance(last, float) and last != 0.0
    if name == "pow":
        return isinstance(last, float) and last.is_integer() and last > 0.0
    return FUNCTIONS[name].tame


def after(first: Steps, second: Steps) -> Steps:
    """The function `second` of the result of `first`."""
    return (*first, *applied(second, place(len(first)), len(first)))


def applied(steps: Steps, argument: str, done: int) -> Steps:
    """The steps of a function of the value `argument`, to be written after `done` other steps."""
    moved: dict[Operand, str] = {ARGUMENT: argument}
    moved |= {place(n): place(n + done) for n in range(1, len(steps) + 1)}
    return tuple((name, *(moved.get(item, item) for item in rest)) for name, *rest in steps)


def affine(steps: Steps) -> tuple[float, float] | None:
    """(factor, offset) of a function factor x + offset that is made of sums and products only."""
    factor, offset = 1.0, 0.0
    for done, (name, *operands) in enumerate(steps):
        line = _line(str(name), operands, place(done))
        if line is None:
            return None
        factor, offset = factor * line[0], offset * line[0] + line[1]
    return factor, offset


def _line(name: str, operands: Sequence[Operand], last: str) -> tuple[float, float] | None:
    """The factor and the offset of one step on the result of the step before."""
    numbers = [item for item in operands if isinstance(item, float)]
    if name == "neg" and operands == [last]:
        return -1.0, 0.0
    if len(operands) != 2 or len(numbers) != 1 or last not in operands:
        return None
    number, first = numbers[0], operands[0] == last
    match name:
        case "add":
            return 1.0, number
        case "sub":
            return (1.0, -number) if first else (-1.0, number)
        case "mul":
            return number, 0.0
        case "div" if first and number != 0.0:
            return 1.0 / number, 0.0
    return None


# --- recognizing ---------------------------------------------------------------------------------

PROBES = torch.cat([torch.linspace(-12, 12, 2401), torch.tensor([-90.0, -30.0, 30.0, 90.0])])
"""Where two functions are compared; the hundredth of one stands between the corners of any."""

NAMED = (
    "silu", "hardswish", "hardsigmoid", "mish", "gelu", "gelu_tanh", "sigmoid", "tanh", "softsign",
)  # fmt: skip

SAME = 2.0**-23
"""As equal as float32 tells them apart."""


@cache
def simplest(steps: Steps) -> Steps:
    """The same function as one step, where it is one that has a name: x sigmoid(x) is silu.

    A function is known by its values, so it does not matter how it was spelled.
    """
    if len(steps) < 2:
        return steps
    y = evaluate(steps, PROBES.to(torch.float64))
    if not torch.isfinite(y).all():
        return steps
    for step in _candidates(steps):
        if _are_close(y, evaluate((step,), PROBES.to(torch.float64))):
            return (step,)
    return steps


def _are_close(a: Tensor, b: Tensor) -> bool:
    return bool(((a - b).abs() <= SAME * (1.0 + b.abs())).all())


def _candidates(steps: Steps) -> list[Step]:
    found: list[Step] = [("clamp", "x", 0.0, None), *((name, ARGUMENT) for name in NAMED)]
    found.append(("softplus", "x", 1.0, 20.0))
    below, above = evaluate(steps, torch.tensor([-1.0, 1.0], dtype=torch.float64)).tolist()
    found.append(("leaky_relu", "x", -below))
    if 0.0 < above < 1.0:
        # x sigmoid(beta x) is sigmoid(beta) at 1; beta as somebody would have written it.
        beta = torch.logit(torch.tensor(above, dtype=torch.float64)).item()
        found.append(("silu", ARGUMENT, round(beta, 9)))
    return found
