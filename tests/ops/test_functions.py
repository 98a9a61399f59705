import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.cases import FUNCTIONS as EXAMPLES
from tests.conformance.cases import TAME_FUNCTIONS
from zeropoint.ops.functions import (
    FUNCTIONS,
    NAMED,
    TAME,
    Step,
    Steps,
    affine,
    after,
    applied,
    evaluate,
    is_function,
    is_tame,
    simplest,
)

X = torch.linspace(-6, 6, 241, dtype=torch.float64)
HARD_SWISH: Steps = (
    ("add", "x", 3.0),
    ("clamp", "x1", 0.0, 6.0),
    ("mul", "x", "x2"),
    ("div", "x3", 6.0),
)


# --- steps ---------------------------------------------------------------------------------------


def test_a_step_reads_the_argument_earlier_results_and_numbers() -> None:
    assert torch.equal(evaluate((("silu", "x"),), X), F.silu(X))
    expected = X * (X + 3.0).clamp(0.0, 6.0) / 6.0
    assert torch.equal(evaluate(HARD_SWISH, X), expected)
    assert torch.equal(evaluate((("sub", 1.0, "x"), ("div", 2.0, "x1")), X), 2.0 / (1.0 - X))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_function_keeps_the_precision_and_the_argument(dtype: torch.dtype) -> None:
    x = X.to(dtype)
    before = x.clone()
    for steps in EXAMPLES:
        assert evaluate(steps, x).dtype == dtype
    assert torch.equal(x, before)


def test_every_function_is_a_function_of_torch() -> None:
    numbers = {
        "clamp": (-1.0, 1.0), "elu": (0.5,), "softplus": (2.0, 20.0), "threshold": (0.1, 3.0),
        "leaky_relu": (0.1,), "hardshrink": (0.5,), "softshrink": (0.5,),
    }  # fmt: skip
    two = {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "greater", "greater_equal"}
    two |= {"less", "less_equal"}
    for name in FUNCTIONS:
        operands: Step = ("x", "x") if name in two - {"pow"} else ("x", *numbers.get(name, ()))
        operands = ("x",) * 3 if name == "where" else (2.0, "x") if name == "pow" else operands
        y = evaluate(((name, *operands),), X)
        assert y.shape == X.shape
        assert y.dtype == X.dtype, name


def test_silu_may_have_a_factor_inside() -> None:
    torch.testing.assert_close(
        evaluate((("silu", "x", 1.702),), X), X * torch.sigmoid(1.702 * X), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize(
    "steps",
    [
        (("exec", "x"),),
        (("silu", "x1"),),
        (("silu",),),
        (("clamp", "x", None, None),),
        (("elu", "x", "y"),),
        ((),),
        "silu",
        7,
    ],
)
def test_what_cannot_be_computed_is_no_function(steps: Any) -> None:
    assert not is_function(steps)


def test_functions_are_functions() -> None:
    assert all(is_function(steps) for steps in (*EXAMPLES, ()))


# --- putting functions together ------------------------------------------------------------------


def test_one_function_follows_another() -> None:
    both = after((("abs", "x"), ("sqrt", "x1")), HARD_SWISH)
    assert both == (
        ("abs", "x"),
        ("sqrt", "x1"),
        ("add", "x2", 3.0),
        ("clamp", "x3", 0.0, 6.0),
        ("mul", "x2", "x4"),
        ("div", "x5", 6.0),
    )
    torch.testing.assert_close(evaluate(both, X), F.hardswish(X.abs().sqrt()))
    assert after((), HARD_SWISH) == HARD_SWISH


def test_steps_are_written_after_others() -> None:
    steps = (("exp", "x"), ("mul", "x", "x1"))
    assert applied(steps, "x3", 5) == (("exp", "x3"), ("mul", "x3", "x6"))


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ((), (1.0, 0.0)),
        ((("mul", "x", 2.0), ("add", "x1", -1.0)), (2.0, -1.0)),
        ((("sub", "x", 0.5), ("div", "x1", 0.25)), (4.0, -2.0)),
        ((("sub", 3.0, "x"), ("neg", "x1")), (1.0, -3.0)),
        ((("add", 0.5, "x"),), (1.0, 0.5)),
        ((("mul", "x", "x"),), None),
        ((("mul", "x", 2.0), ("mul", "x", "x1")), None),
        ((("div", 1.0, "x"),), None),
        ((("div", "x", 0.0),), None),
        ((("silu", "x"),), None),
        ((("mul", "x", 2.0), ("add", "x", 1.0)), None),
    ],
)
def test_sums_and_products_are_a_factor_and_an_offset(
    steps: Steps, line: tuple[float, float] | None
) -> None:
    assert affine(steps) == line
    if line is not None and steps:
        torch.testing.assert_close(evaluate(steps, X), line[0] * X + line[1])


# --- tame and wild -------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", TAME_FUNCTIONS)
def test_a_tame_function_is_finite_and_settles_or_grows(steps: Steps) -> None:
    assert is_tame(steps)
    far = torch.tensor([-1e15, -1e9, -1e4, 1e4, 1e9, 1e15], dtype=torch.float64)
    y = evaluate(steps, far).abs()
    assert torch.isfinite(y).all()
    for one, two in ((2, 1), (1, 0), (3, 4), (4, 5)):
        assert y[two] >= y[one] * (1 - 1e-6)


def test_what_may_be_infinite_or_never_settles_is_not_tame() -> None:
    for name in ("log", "sqrt", "exp", "reciprocal", "sin", "sign", "floor"):
        assert not is_tame(((name, "x"),))
    assert not is_tame((("silu", "x"), ("div", "x", "x1")))
    assert not is_tame((("div", "x", 0.0),))
    assert not is_tame((("div", 1.0, "x"),))
    assert is_tame((("div", "x", 6.0),))
    assert is_tame((("pow", "x", 3.0),))
    assert not is_tame((("pow", "x", 0.5),))
    assert not is_tame((("pow", "x", -1.0),))
    assert not is_tame((("pow", 2.0, "x"),))


def test_a_function_is_tame_or_not() -> None:
    assert {name for name, function in FUNCTIONS.items() if function.tame} == TAME.keys()


# --- recognizing ---------------------------------------------------------------------------------

SPELLED: list[tuple[Steps, Steps]] = [
    (HARD_SWISH, (("hardswish", "x"),)),
    ((("add", "x", 3.0), ("clamp", "x1", 0.0, 6.0), ("div", "x2", 6.0)), (("hardsigmoid", "x"),)),
    ((("hardsigmoid", "x"), ("mul", "x", "x1")), (("hardswish", "x"),)),
    ((("sigmoid", "x"), ("mul", "x", "x1")), (("silu", "x"),)),
    ((("neg", "x"), ("exp", "x1"), ("add", "x2", 1.0), ("div", "x", "x3")), (("silu", "x"),)),
    ((("mul", "x", 1.702), ("sigmoid", "x1"), ("mul", "x", "x2")), (("silu", "x", 1.702),)),
    ((("softplus", "x", 1.0, 20.0), ("tanh", "x1"), ("mul", "x", "x2")), (("mish", "x"),)),
    ((("exp", "x"), ("add", "x1", 1.0), ("log", "x2")), (("softplus", "x", 1.0, 20.0),)),
    ((("neg", "x"), ("exp", "x1"), ("add", "x2", 1.0), ("reciprocal", "x3")), (("sigmoid", "x"),)),
    ((("abs", "x"), ("add", "x1", 1.0), ("div", "x", "x2")), (("softsign", "x"),)),
    ((("abs", "x"), ("add", "x", "x1"), ("mul", "x2", 0.5)), (("clamp", "x", 0.0, None),)),
    ((("mul", "x", 0.1), ("maximum", "x", "x1")), (("leaky_relu", "x", 0.1),)),
    (
        (("greater", "x", 0.0), ("mul", "x", 0.2), ("where", "x1", "x", "x2")),
        (("leaky_relu", "x", 0.2),),
    ),
    (
        (
            ("mul", "x", math.sqrt(0.5)),
            ("erf", "x1"),
            ("add", "x2", 1.0),
            ("mul", "x", "x3"),
            ("mul", "x4", 0.5),
        ),
        (("gelu", "x"),),
    ),
]


@pytest.mark.parametrize(("steps", "simple"), SPELLED)
def test_a_function_is_known_by_its_values(steps: Steps, simple: Steps) -> None:
    assert simplest(steps) == simple
    torch.testing.assert_close(evaluate(steps, X), evaluate(simple, X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "steps",
    [
        (("log", "x"), ("exp", "x1")),
        (("add", "x", 3.0), ("clamp", "x1", 0.0, 6.0), ("mul", "x", "x2"), ("div", "x3", 6.01)),
        (("tanh", "x"), ("mul", "x", "x1")),
        (("mul", "x", 2.0), ("silu", "x1")),
    ],
)
def test_what_is_no_function_with_a_name_stays_as_it_was_spelled(steps: Steps) -> None:
    assert simplest(steps) == steps


def test_named_functions_are_functions() -> None:
    assert set(NAMED) <= FUNCTIONS.keys()


@given(st.floats(0.1, 4.0))
def test_the_factor_inside_silu_is_found(beta: float) -> None:
    ((name, argument, *found),) = simplest(
        (("mul", "x", beta), ("sigmoid", "x1"), ("mul", "x", "x2"))
    )
    assert (name, argument) == ("silu", "x")
    assert float(str((found or [1.0])[0])) == pytest.approx(beta, abs=1e-8)
