import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.arithmetic.fixed_point import multipliers
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.lookup import RealFunction
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import (
    SUM_BITS,
    Arithmetic,
    FixedPoint,
    Float32,
    Grid,
    Nudged,
    Term,
)

PROFILES: list[Arithmetic] = [Float32(), FixedPoint("single"), FixedPoint("double")]
every_profile = pytest.mark.parametrize("arithmetic", PROFILES, ids=repr)

UINT8_AT_7 = Grid(zero_point=7, low=0, high=255)
WIDE = Grid(zero_point=0, low=-(2**31) + 1, high=2**31 - 1)

accumulators = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=30)
ordinary = st.lists(st.integers(-60_000, 60_000), min_size=1, max_size=30)
ratios = st.floats(2e-4, 0.5)

Y = per_tensor(0.031, 40, UINT8)


def term(accumulator: Sequence[int], multiplier: float) -> Term:
    return Term(
        torch.tensor(accumulator, dtype=torch.int32), torch.tensor(multiplier, dtype=torch.float64)
    )


def exact(*terms: tuple[int, float]) -> Fraction:
    return sum((a * Fraction(m) for a, m in terms), start=Fraction(0))


def steps(arithmetic: Arithmetic, *terms: Term, grid: Grid = WIDE) -> list[int]:
    result = arithmetic.requantize(list(terms), grid)
    assert result.dtype == torch.int32
    return [int(step) for step in result.tolist()]


def applied(arithmetic: Arithmetic, function: RealFunction, *terms: Term) -> list[int]:
    """Equation (5), onto a grid of uint8."""
    result = arithmetic.apply(function, list(terms), Y)
    assert result.dtype == torch.uint8
    return [int(code) for code in result.tolist()]


# --- all profiles --------------------------------------------------------------------------------


@every_profile
def test_a_result_is_rounded_and_moved_to_the_zero_point(arithmetic: Arithmetic) -> None:
    assert steps(arithmetic, term([-9, 0, 9, 11], 0.1), grid=UINT8_AT_7) == [6, 7, 8, 8]


@every_profile
def test_a_result_saturates_at_the_bounds(arithmetic: Arithmetic) -> None:
    grid = Grid(zero_point=7, low=3, high=200)
    ends = [-(2**31), -1000, 0, 1000, 2**31 - 1]
    assert steps(arithmetic, term(ends, 1.0), grid=grid) == [3, 3, 7, 200, 200]
    assert steps(arithmetic, term(ends, 1e12), grid=grid) == [3, 3, 7, 200, 200]
    assert steps(arithmetic, term(ends, 1e-30), grid=grid) == [7, 7, 7, 7, 7]


@every_profile
def test_a_sum_saturates_at_the_bounds(arithmetic: Arithmetic) -> None:
    ends = [-(2**31), 0, 2**31 - 1]
    terms = [term(ends, 1e12), term([1, 1, 1], 1.0)]
    assert steps(arithmetic, *terms, grid=UINT8_AT_7) == [0, 8, 255]


@every_profile
def test_a_sum_is_rounded_once(arithmetic: Arithmetic) -> None:
    # Rounded one by one, 0.4 + 0.4 is 0 and 0.6 + 0.6 is 2.
    assert steps(arithmetic, term([4, 6], 0.1), term([4, 6], 0.1)) == [1, 1]


@every_profile
def test_each_channel_has_its_multiplier(arithmetic: Arithmetic) -> None:
    accumulator = torch.full((2, 3, 1, 2), 100, dtype=torch.int32)
    multiplier = torch.tensor([0.01, 0.1, 1.0], dtype=torch.float64).reshape(3, 1, 1)
    result = arithmetic.requantize([Term(accumulator, multiplier)], UINT8_AT_7)
    assert result.shape == accumulator.shape
    assert result[1, :, 0, 1].tolist() == [8, 17, 107]


@every_profile
@given(accumulator=ordinary, multiplier=ratios)
def test_no_profile_is_a_step_or_more_from_the_exact_result(
    arithmetic: Arithmetic, accumulator: list[int], multiplier: float
) -> None:
    for a, step in zip(accumulator, steps(arithmetic, term(accumulator, multiplier)), strict=True):
        assert abs(step - exact((a, multiplier))) < 1


@every_profile
@given(a=st.integers(-255, 255), b=st.integers(-60_000, 60_000), m=ratios, n=ratios)
def test_no_profile_is_a_step_or_more_from_an_exact_sum(
    arithmetic: Arithmetic, a: int, b: int, m: float, n: float
) -> None:
    (step,) = steps(arithmetic, term([a], m), term([b], n))
    assert abs(step - exact((a, m), (b, n))) < Fraction(51, 100)


@every_profile
@given(accumulator=ordinary, multiplier=ratios)
def test_a_greater_accumulator_never_gives_a_smaller_result(
    arithmetic: Arithmetic, accumulator: list[int], multiplier: float
) -> None:
    result = steps(arithmetic, term(sorted(accumulator), multiplier))
    assert result == sorted(result)


def test_the_profiles_differ_in_few_results() -> None:
    random = torch.Generator().manual_seed(0)
    accumulator = torch.randint(-60_000, 60_000, (200_000,), generator=random, dtype=torch.int32)
    multiplier = 2e-4 + 4e-3 * torch.rand(200_000, generator=random, dtype=torch.float64)
    one = [Term(accumulator, multiplier)]
    float32, single, double = (p.requantize(one, WIDE) for p in PROFILES)
    assert _share_off(single, float32) < 1e-4
    assert _share_off(double, float32) < 3e-3


def _share_off(a: Tensor, b: Tensor) -> float:
    distance = (a - b).abs()
    assert distance.max() <= 1
    return float(distance.double().mean())


# --- Float32 -------------------------------------------------------------------------------------


@given(accumulators, st.floats(1e-9, 1e3))
def test_float32_is_one_product_of_numpy_float32(accumulator: list[int], multiplier: float) -> None:
    product = np.array(accumulator, np.int32).astype(np.float32) * np.float32(multiplier)
    expected = np.clip(np.rint(product), -7, 248).astype(np.int32) + 7
    assert steps(Float32(), term(accumulator, multiplier), grid=UINT8_AT_7) == expected.tolist()


@given(accumulators, st.integers(-255, 255), st.floats(1e-9, 1.0), st.floats(1e-3, 10.0))
def test_float32_adds_numpy_float32_products(
    accumulator: list[int], addend: int, m: float, n: float
) -> None:
    first = np.array(accumulator, np.int32).astype(np.float32) * np.float32(m)
    total = first + np.float32(addend) * np.float32(n)
    expected = np.clip(np.rint(total), -7, 248).astype(np.int32) + 7
    terms = term(accumulator, m), term([addend] * len(accumulator), n)
    assert steps(Float32(), *terms, grid=UINT8_AT_7) == expected.tolist()


def test_float32_rounds_halves_to_even() -> None:
    assert steps(Float32(), term([-3, -1, 1, 3, 5], 0.5)) == [-2, 0, 0, 2, 2]


# --- FixedPoint ----------------------------------------------------------------------------------


def test_fixed_point_rounds_halves_by_its_name() -> None:
    halves = term([-6, -2, 2, 6], 0.25)
    assert steps(FixedPoint("single"), halves) == [-1, 0, 1, 2]
    assert steps(FixedPoint("double"), halves) == [-2, -1, 1, 2]


@given(accumulators, st.integers(-255, 255), st.floats(1e-9, 1.0), st.floats(1e-3, 10.0))
def test_a_fixed_point_sum_keeps_its_fractional_bits_until_the_end(
    accumulator: list[int], addend: int, m: float, n: float
) -> None:
    def fine(a: int, multiplier: float) -> int:
        by = multipliers(torch.tensor(multiplier * 2**SUM_BITS, dtype=torch.float64))
        shift = 31 - int(by.exponent)
        value = (a * int(by.mantissa) + (1 << (shift - 1))) >> shift
        return min(max(value, -(2**31)), 2**31 - 1)

    expected = [
        min(max(((fine(a, m) + fine(addend, n) + 2**15) >> 16) + 7, 0), 255) for a in accumulator
    ]
    terms = term(accumulator, m), term([addend] * len(accumulator), n)
    for arithmetic in (FixedPoint("single"), FixedPoint("double")):
        assert steps(arithmetic, *terms, grid=UINT8_AT_7) == expected


# --- functions -----------------------------------------------------------------------------------


@every_profile
@given(ordinary, st.floats(1e-5, 1e-2))
def test_a_function_is_applied_before_the_one_rounding(
    arithmetic: Arithmetic, accumulator: list[int], scale: float
) -> None:
    found = applied(arithmetic, torch.tanh, term(accumulator, scale))
    for a, code in zip(accumulator, found, strict=True):
        exactly = math.tanh(a * scale) / Y.scale.item() + 40
        assert abs(code - min(max(exactly, 0), 255)) <= 0.51 + (arithmetic != Float32()) * 0.01


@every_profile
@given(ordinary, st.integers(-255, 255))
def test_a_function_of_a_sum_sees_both_terms(
    arithmetic: Arithmetic, accumulator: list[int], other: int
) -> None:
    found = applied(
        arithmetic, torch.abs, term(accumulator, 1e-3), term([other] * len(accumulator), 0.01)
    )
    for a, code in zip(accumulator, found, strict=True):
        exactly = min(abs(a * 1e-3 + other * 0.01) / Y.scale.item() + 40, 255)
        assert abs(code - exactly) <= 0.52


@every_profile
def test_a_function_of_the_largest_accumulators_saturates(arithmetic: Arithmetic) -> None:
    ends = term([-(2**31), 2**31 - 1], 0.5)
    assert applied(arithmetic, torch.tanh, ends) == [round(40 - 1 / 0.031), round(40 + 1 / 0.031)]
    assert applied(arithmetic, torch.neg, ends) == [255, 0]


@given(accumulators, ratios)
def test_numbers_that_are_not_nudged_are_those_of_float32(values: list[int], ratio: float) -> None:
    ours, plain = (steps(each, term(values, ratio)) for each in (Nudged(0.0), Float32()))
    assert ours == plain


@pytest.mark.parametrize(("by", "expected"), [(-(2.0**-12), 4), (0.0, 4), (2.0**-12, 5)])
def test_a_nudge_decides_a_tie(by: float, expected: int) -> None:
    assert steps(Nudged(by), term([9], 0.5)) == [expected]
    y = per_tensor(2.0, 0, UINT8)
    found = Nudged(by).apply(lambda real: real - 1.0, [term([10], 1.0)], y)
    assert found.tolist() == [expected]
