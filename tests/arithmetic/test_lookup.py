import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.lookup import is_finite, narrowed, staircase, table
from zeropoint.arithmetic.qparams import per_tensor

X = per_tensor(0.05, 128, UINT8)
Y = per_tensor(0.031, 40, UINT8)

reals = st.floats(-100, 100)


def silu(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(x)


# --- tables --------------------------------------------------------------------------------------


@given(st.integers(0, 255))
def test_an_entry_is_the_function_of_the_codes_number_rounded_once(code: int) -> None:
    x = (code - 128) * X.scale.item()
    steps = x / (1 + math.exp(-x)) / Y.scale.item()
    assert table(silu, X, Y)[code] == min(max(round(steps) + 40, 0), 255)


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_there_is_an_entry_for_each_code(bits: int) -> None:
    x, y = per_tensor(0.31, 1, IntegerType(bits, signed=False)), per_tensor(0.107, 0, UINT8)
    assert table(torch.square, x, y).tolist() == [
        min(round((0.31 * (code - 1)) ** 2 / 0.107), 255) for code in range(2**bits)
    ]


def test_signed_codes_come_in_their_order() -> None:
    entries = table(torch.neg, per_tensor(1.0, 0, INT8), per_tensor(1.0, 0, INT8))
    assert entries.dtype == torch.int8
    assert entries.tolist() == [127, 127, *range(126, -128, -1)]


def test_what_is_infinite_saturates() -> None:
    entries = table(torch.log, per_tensor(1.0, 0, UINT8), Y)
    assert entries[0] == 0
    entries = table(torch.reciprocal, per_tensor(1.0, 0, UINT8), Y)
    assert entries[0] == 255


def test_a_code_without_a_number_has_the_entry_of_the_nearest_that_has_one() -> None:
    x = per_tensor(0.5, 10, UINT8)
    entries = table(torch.sqrt, x, Y)
    assert set(entries[:11].tolist()) == {40}
    assert entries[11] == 40 + round(math.sqrt(0.5) / 0.031)
    beyond = table(lambda r: torch.where(r > 3, torch.nan, r), x, Y)
    assert set(beyond[17:].tolist()) == {int(beyond[16])}


def test_a_function_that_is_a_number_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number at any code"):
        table(lambda r: torch.sqrt(-1 - r.square()), X, Y)


def test_it_is_known_where_a_function_is_finite() -> None:
    assert is_finite(torch.exp, X)
    assert not is_finite(torch.exp, per_tensor(1.0, 0, UINT8))  # beyond float32
    assert not is_finite(torch.log, X)


# --- staircases ----------------------------------------------------------------------------------

FUNCTIONS = [
    silu,
    torch.tanh,
    torch.abs,
    torch.nn.functional.hardswish,
    torch.nn.functional.mish,
    lambda x: torch.nn.functional.leaky_relu(x, 0.01),
    lambda x: torch.nn.functional.softshrink(x, 0.4),
    lambda x: x.clamp(-0.3, 0.4),
    torch.zeros_like,
]


@pytest.mark.parametrize("function", FUNCTIONS)
@given(st.lists(reals, min_size=1, max_size=50), st.floats(0.001, 1.0), st.integers(0, 255))
def test_a_staircase_is_the_function_to_a_unit(
    function: object, numbers: list[float], scale: float, zero_point: int
) -> None:
    assert callable(function)
    y = per_tensor(scale, zero_point, UINT8)
    stairs = staircase(function, y)
    x = torch.tensor(numbers, dtype=torch.float64)
    units = torch.round(x / stairs.unit)
    expected = narrowed(function(units * stairs.unit), y)
    assert torch.equal(stairs.read(units.to(torch.int32)), expected)


def test_a_staircase_has_a_stair_where_the_code_changes_and_nowhere_else() -> None:
    y = per_tensor(0.25, 4, IntegerType(4, signed=False))
    stairs = staircase(torch.relu, y)
    assert stairs.codes.tolist() == [4, *range(5, 16)]
    assert len(stairs.thresholds) == 11
    # Halves are rounded to even: 4.5 to 4, 5.5 to 6.
    assert (stairs.thresholds[:2] * stairs.unit / 0.25).tolist() == [0.5 + 2**-10, 1.5]
    assert staircase(torch.zeros_like, y).codes.tolist() == [4]
