import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.arithmetic.bounds import saturating_pairs, sum_range

weights = st.lists(st.integers(-127, 127), min_size=1, max_size=4)


@given(weights, st.integers(-1000, 1000), st.integers(0, 3))
def test_the_bounds_of_a_sum_are_its_least_and_greatest_partial_sums(
    row: list[int], bias: int, zero_point: int
) -> None:
    low, high = -zero_point, 3 - zero_point
    found = sum_range(torch.tensor([row]).double(), torch.tensor([bias]).double(), low, high)
    sums = {
        sum(w * x for w, x in zip(row, inputs, strict=True)) + added
        for inputs in itertools.product(range(low, high + 1), repeat=len(row))
        for added in (0, bias)
    }
    assert (found.low.item(), found.high.item()) == (min(sums), max(sums))
    assert found.largest.item() == max(abs(min(sums)), abs(max(sums)))


@given(weights, st.integers(1, 255))
def test_a_channel_saturates_if_some_two_products_leave_16_bits(row: list[int], high: int) -> None:
    found = saturating_pairs(torch.tensor([row]).double(), high)
    codes = (0, high)
    pairs = itertools.combinations(row, 2) if len(row) > 1 else [(row[0], 0)]
    sums = [v * a + w * b for v, w in pairs for a in codes for b in codes]
    assert found.item() == any(not -(2**15) <= total < 2**15 for total in sums)


def test_weights_of_seven_bits_never_saturate() -> None:
    rows = torch.tensor([[64.0, 64.0, -64.0, -64.0]])
    assert not saturating_pairs(rows, 255).any()
    assert saturating_pairs(rows + 1, 255).all()
