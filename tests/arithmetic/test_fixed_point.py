"""Fixed-point arithmetic, bit by bit, beside gemmlowp's rules in Python integers.

The edge values are gemmlowp's own (test/test_fixedpoint.cc), and so are the golden multipliers of
TFLite (quantization_util_test.cc).
"""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.arithmetic.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    Multiplier,
    Rounding,
    multipliers,
    multiply,
    rounding_divide_by_power_of_two,
    rounding_shift,
    saturate,
    saturating_rounding_doubling_high_mul,
)

ROUNDINGS: tuple[Rounding, ...] = ("single", "double")

int32s = st.integers(INT32_MIN, INT32_MAX)
mantissas = st.integers(2**30, 2**31 - 1)
exponents = st.integers(-31, 30)


# --- gemmlowp in Python integers -----------------------------------------------------------------


def truncated(numerator: int, denominator: int) -> int:
    """Division as in C: towards zero."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def doubling_high_mul(a: int, b: int) -> int:
    if a == b == INT32_MIN:
        return INT32_MAX
    nudge = 2**30 if a * b >= 0 else 1 - 2**30
    return truncated(a * b + nudge, 2**31)


def divide_by_power_of_two(x: int, exponent: int) -> int:
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


def multiply_double(x: int, mantissa: int, exponent: int) -> int:
    shifted = min(max(x << max(exponent, 0), INT32_MIN), INT32_MAX)
    return divide_by_power_of_two(doubling_high_mul(shifted, mantissa), max(-exponent, 0))


def multiply_single(x: int, mantissa: int, exponent: int) -> int:
    shift = 31 - exponent
    return (x * mantissa + (1 << (shift - 1))) >> shift


def edge_values() -> list[int]:
    """+-2^i +- {0, 1, 2} for i < 31, and the ends of int32."""
    near = [sign * 2**i + d for i in range(31) for sign in (1, -1) for d in (-2, -1, 0, 1, 2)]
    ends = [INT32_MIN, INT32_MIN + 1, INT32_MIN + 2, INT32_MAX - 2, INT32_MAX - 1, INT32_MAX]
    return sorted({*near, *ends})


def random_values(count: int = 1000) -> list[int]:
    """gemmlowp's linear congruential generator, begun with 1."""
    values, state = [], 1
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(state - 2**32 if state >= 2**31 else state)
    return values


def tensor(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def one(mantissa: int, exponent: int) -> Multiplier:
    return Multiplier(torch.tensor(mantissa), torch.tensor(exponent))


# --- the two primitives --------------------------------------------------------------------------


def test_the_high_product_is_gemmlowp_s_for_all_pairs_of_edge_values() -> None:
    edges = edge_values()
    ours = saturating_rounding_doubling_high_mul(tensor(edges)[:, None], tensor(edges)[None, :])
    assert ours.tolist() == [[doubling_high_mul(a, b) for b in edges] for a in edges]


def test_the_high_product_is_gemmlowp_s_for_random_values() -> None:
    a = random_values()
    b = a[::-1]
    ours = saturating_rounding_doubling_high_mul(tensor(a), tensor(b))
    assert ours.tolist() == [doubling_high_mul(x, y) for x, y in zip(a, b, strict=True)]


def test_the_high_product_is_the_rounded_product_for_all_pairs_of_gemmlowp_s_values() -> None:
    values = tensor(edge_values() + random_values())
    a, b = values[:, None], values[None, :]
    ours = saturating_rounding_doubling_high_mul(a, b)
    half_up = (a * b + (1 << 30)) >> 31
    assert torch.equal(ours, half_up.clamp(max=INT32_MAX))
    # gemmlowp itself asks for no more than this of its products.
    real = a.to(torch.float64) * b.to(torch.float64) / 2.0**31
    assert ((ours - real).abs() <= 1).all()


def test_the_one_high_product_that_does_not_fit_saturates() -> None:
    lowest = tensor([INT32_MIN])
    assert saturating_rounding_doubling_high_mul(lowest, lowest).item() == INT32_MAX


def test_the_high_product_rounds_halves_up() -> None:
    # gemmlowp means "away from zero" by its nudge of 1 - 2^30, but C truncates: -1.5 becomes -1.
    halves = tensor([-3, -1, 1, 3]) * 2**30
    assert saturating_rounding_doubling_high_mul(halves, torch.tensor(1)).tolist() == [-1, 0, 1, 2]


@given(int32s, int32s)
def test_the_high_product_is_the_product_over_2_to_the_31_to_half_a_unit(a: int, b: int) -> None:
    ours = saturating_rounding_doubling_high_mul(torch.tensor(a), torch.tensor(b))
    exact = Fraction(a * b, 2**31)
    assert abs(int(ours) - exact) <= Fraction(1, 2) or (a == b == INT32_MIN)


@pytest.mark.parametrize("exponent", range(32))
def test_the_shift_is_gemmlowp_s_for_all_edge_values(exponent: int) -> None:
    values = edge_values() + random_values(200)
    ours = rounding_divide_by_power_of_two(tensor(values), torch.tensor(exponent))
    assert ours.tolist() == [divide_by_power_of_two(x, exponent) for x in values]


@given(int32s, st.integers(0, 31))
def test_the_shift_rounds_halves_away_from_zero(x: int, exponent: int) -> None:
    ours = rounding_divide_by_power_of_two(torch.tensor(x), torch.tensor(exponent)).item()
    magnitude = (Fraction(abs(x), 2**exponent) + Fraction(1, 2)).__floor__()
    assert ours == (magnitude if x >= 0 else -magnitude)


@given(st.integers(-(2**61), 2**61), st.integers(1, 62))
def test_the_single_shift_rounds_halves_up(x: int, shift: int) -> None:
    ours = rounding_shift(torch.tensor(x), torch.tensor(shift)).item()
    assert ours == (Fraction(x, 2**shift) + Fraction(1, 2)).__floor__()


def test_saturating_keeps_int32() -> None:
    values = tensor([-(2**40), INT32_MIN, -1, 0, INT32_MAX, 2**40])
    assert saturate(values).tolist() == [INT32_MIN, INT32_MIN, -1, 0, INT32_MAX, INT32_MAX]


# --- multipliers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "mantissa", "exponent"),
    [
        (1.0, 2**30, 1),
        (0.5, 2**30, 0),
        (0.25, 2**30, -1),
        (0.75, 3 * 2**29, 0),
        (2.0**-32, 2**30, -31),
        (2.0**-33, 0, 0),
        (0.0, 0, 0),
        (1.0 - 2.0**-40, 2**30, 1),  # the mantissa rounds up to 2^31
        (2.0**29, 2**30, 30),
        (2.0**30, INT32_MAX, 30),
        (1e30, INT32_MAX, 30),
    ],
)
def test_a_multiplier_is_a_mantissa_of_31_bits_and_an_exponent(
    real: float, mantissa: int, exponent: int
) -> None:
    by = multipliers(torch.tensor(real, dtype=torch.float64))
    assert (by.mantissa.item(), by.exponent.item()) == (mantissa, exponent)


@given(st.floats(2.0**-31, 2.0**29))
def test_a_multiplier_is_the_real_number_to_31_bits(real: float) -> None:
    by = multipliers(torch.tensor(real, dtype=torch.float64))
    mantissa, exponent = int(by.mantissa), int(by.exponent)
    assert 2**30 <= mantissa < 2**31
    error = abs(mantissa * Fraction(2) ** (exponent - 31) - Fraction(real))
    assert error <= Fraction(2) ** (exponent - 32)


def test_multipliers_keep_their_shape() -> None:
    by = multipliers(torch.rand(2, 1, 3))
    assert by.mantissa.shape == by.exponent.shape == (2, 1, 3)


# --- the product ---------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [-31, -30, -7, -1, 0, 1, 7, 30])
@pytest.mark.parametrize("mantissa", [2**30, 2**30 + 1, 1_518_500_250, 2**31 - 1])
def test_both_products_are_bit_exact_for_edge_values(mantissa: int, exponent: int) -> None:
    values = edge_values() + random_values(200)
    by, x = one(mantissa, exponent), tensor(values)
    double = [multiply_double(value, mantissa, exponent) for value in values]
    single = [multiply_single(value, mantissa, exponent) for value in values]
    assert multiply(x, by, "double").tolist() == double
    assert multiply(x, by, "single").tolist() == single


@given(int32s, mantissas, exponents)
def test_both_products_are_bit_exact(x: int, mantissa: int, exponent: int) -> None:
    by = one(mantissa, exponent)
    assert multiply(torch.tensor(x), by, "double").item() == multiply_double(x, mantissa, exponent)
    assert multiply(torch.tensor(x), by, "single").item() == multiply_single(x, mantissa, exponent)


@given(int32s, mantissas, exponents)
def test_the_single_product_is_rounded_exactly_half_up(
    x: int, mantissa: int, exponent: int
) -> None:
    exact = x * mantissa * Fraction(2) ** (exponent - 31)
    ours = multiply(torch.tensor(x), one(mantissa, exponent), "single").item()
    assert ours == (exact + Fraction(1, 2)).__floor__()


@given(int32s, mantissas, st.integers(-31, 0))
def test_the_double_product_is_less_than_one_step_off(x: int, mantissa: int, exponent: int) -> None:
    exact = x * mantissa * Fraction(2) ** (exponent - 31)
    ours = multiply(torch.tensor(x), one(mantissa, exponent), "double")
    assert abs(int(ours) - exact) < 1


def test_rounding_twice_can_give_another_result_than_rounding_once() -> None:
    # 2.499..: the first rounding makes it 2.5, the second 3.
    by = multipliers(torch.tensor(0.25 - 2.0**-33, dtype=torch.float64))
    ten = torch.tensor(10)
    assert multiply(ten, by, "single").item() == 2
    assert multiply(ten, by, "double").item() == 3


def test_every_channel_has_its_own_shift() -> None:
    by = multipliers(torch.tensor([[4.0], [0.001], [0.0]], dtype=torch.float64))
    x = torch.tensor([[3, -3], [3000, -3000], [INT32_MAX, INT32_MIN]])
    for rounding in ROUNDINGS:
        assert multiply(x, by, rounding).tolist() == [[12, -12], [3, -3], [0, 0]]


def test_a_large_product_saturates_instead_of_wrapping_around() -> None:
    by = multipliers(torch.tensor(2.0**40, dtype=torch.float64))
    for rounding in ROUNDINGS:
        low, zero, high = multiply(torch.tensor([-1, 0, 1]), by, rounding).tolist()
        assert low < -(2**29)
        assert zero == 0
        assert high > 2**29
