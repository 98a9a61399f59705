"""Functions as oneDNN's elementwise post-operations: (algorithm, alpha, beta), one after the other.

A post-operation has one operand, the result of the one before: steps that read anything else have
no such form, and neither have functions that oneDNN does not know.
"""

from collections.abc import Callable, Mapping

from zeropoint.ops.functions import Operand, Steps, place

PostOp = tuple[int, float, float]

RELU, TANH, ELU, SQUARE, ABS, LINEAR, SOFT_RELU = 0x20, 0x21, 0x22, 0x23, 0x24, 0x26, 0x27
HARDSIGMOID, LOGISTIC, GELU_TANH, SWISH, CLIP = 0x28, 0x29, 0x2B, 0x2C, 0x2E
GELU_ERF, MISH, HARDSWISH = 0x31, 0x33, 0x34

INFINITE = float("inf")
STRAIGHT = 15.0
"""Where log(1 + exp(x)) is x to float32: a threshold beyond it makes no difference."""


def clip(low: float | None, high: float | None) -> PostOp:
    """Bounds; None is none."""
    if (low, high) == (0.0, None):
        return RELU, 0.0, 0.0
    return CLIP, -INFINITE if low is None else low, INFINITE if high is None else high


def post_ops(function: Steps) -> tuple[PostOp, ...] | None:
    """The function as post-operations; None if it has no such form."""
    found = []
    for done, (name, *operands) in enumerate(function):
        if [item for item in operands if isinstance(item, str)] != [place(done)]:
            return None
        form = FORMS.get(str(name))
        made = None if form is None else form(operands)
        if made is None:
            return None
        found.append(made)
    return tuple(found)


Operands = list[Operand]


def _fixed(algorithm: int, alpha: float = 0.0, beta: float = 0.0) -> Callable[..., PostOp]:
    return lambda operands: (algorithm, alpha, beta)


def _number(operands: Operands) -> float:
    (number,) = (item for item in operands if isinstance(item, float))
    return number


def _clamp(operands: Operands) -> PostOp:
    low, high = (item if isinstance(item, float) else None for item in operands[1:])
    return clip(low, high)


def _silu(operands: Operands) -> PostOp:
    return SWISH, 1.0 if len(operands) == 1 else _number(operands), 0.0


def _softplus(operands: Operands) -> PostOp | None:
    _, beta, threshold = operands
    assert isinstance(beta, float)  # capture writes numbers
    assert isinstance(threshold, float)
    return (SOFT_RELU, beta, 0.0) if threshold >= STRAIGHT and beta > 0 else None


def _sub(operands: Operands) -> PostOp:
    number = _number(operands)
    return (LINEAR, -1.0, number) if isinstance(operands[0], float) else (LINEAR, 1.0, -number)


def _div(operands: Operands) -> PostOp | None:
    return (LINEAR, 1.0 / _number(operands), 0.0) if isinstance(operands[1], float) else None


FORMS: Mapping[str, Callable[[Operands], PostOp | None]] = {
    "abs": _fixed(ABS),
    "add": lambda operands: (LINEAR, 1.0, _number(operands)),
    "clamp": _clamp,
    "div": _div,
    "elu": lambda operands: (ELU, _number(operands), 0.0),
    "gelu": _fixed(GELU_ERF),
    "gelu_tanh": _fixed(GELU_TANH),
    "hardsigmoid": _fixed(HARDSIGMOID, 1 / 6, 1 / 2),
    "hardswish": _fixed(HARDSWISH, 1 / 6, 1 / 2),
    "leaky_relu": lambda operands: (RELU, _number(operands), 0.0),
    "log_sigmoid": _fixed(SOFT_RELU, -1.0),
    "mish": _fixed(MISH),
    "mul": lambda operands: (LINEAR, _number(operands), 0.0),
    "neg": _fixed(LINEAR, -1.0),
    "sigmoid": _fixed(LOGISTIC),
    "silu": _silu,
    "softplus": _softplus,
    "square": _fixed(SQUARE),
    "sub": _sub,
    "tanh": _fixed(TANH),
}
