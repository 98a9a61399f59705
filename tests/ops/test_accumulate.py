import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.arithmetic.integer import INT8, INT32, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor, quantize
from zeropoint.errors import ProgramError
from zeropoint.graph.op import Signature
from zeropoint.ops.accumulate import accumulated, as_int32, centred, clamp_real, real_bounds

INF = float("inf")
GRID = per_tensor(0.5, 10, UINT8)  # from -5 to 122.5


def test_centred_integers_are_exact_and_have_their_sign() -> None:
    q = torch.tensor([0, 10, 255], dtype=torch.uint8)
    assert centred(q, GRID).tolist() == [-10.0, 0.0, 245.0]
    assert centred(q, GRID).dtype == torch.float64


def test_every_channel_is_centred_by_its_own_zero_point() -> None:
    params = QParams(torch.ones(2), torch.tensor([1, -2], dtype=torch.int32), INT8, axis=0)
    q = torch.tensor([[1, 2], [1, 2]], dtype=torch.int8)
    assert centred(q, params).tolist() == [[0.0, 1.0], [3.0, 4.0]]


# --- products ------------------------------------------------------------------------------------

ON_WEIGHT = per_tensor(0.01, 0, INT8)


def widths_of_sums(x: Tensor, weight: Tensor, bias: Tensor, on_x: QParams) -> torch.dtype:
    """The type that the sums run in; they must be those of int64."""
    seen = []

    def product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        seen.append(x.dtype)
        return F.linear(x, weight, bias)

    grid = QParams(torch.ones(len(bias)), torch.zeros(len(bias), dtype=torch.int32), INT32, 0)
    sums = accumulated(product, (x, weight, bias), Signature((on_x, ON_WEIGHT, grid), grid))
    exact = (x.long() - on_x.zero_point) @ weight.long().T + bias
    assert sums.dtype == torch.int32
    assert torch.equal(sums.long(), exact)
    (dtype,) = seen
    return dtype


@pytest.mark.parametrize(
    ("count", "bias", "expected"),
    [
        (500, 0, torch.float32),
        (539, 0, torch.float32),  # 539 * 245 * 127 = 2^24 - 6,431
        (540, 0, torch.float64),
        (10, 2**24 - 10 * 245 * 127 - 1, torch.float32),
        (10, 2**24 - 10 * 245 * 127, torch.float64),
        (60_000, 0, torch.float64),
    ],
)
def test_sums_run_in_float32_where_all_of_them_fit(
    count: int, bias: int, expected: torch.dtype
) -> None:
    x = torch.full((2, count), 255, dtype=torch.uint8)
    weight = torch.full((3, count), 127, dtype=torch.int8)
    biases = torch.full((3,), bias, dtype=torch.int32)
    assert widths_of_sums(x, weight, biases, GRID) == expected


def test_wide_codes_are_summed_in_float64() -> None:
    """A CPU may be told to multiply float32 in bfloat16, which holds 8 bits."""
    x = torch.tensor([[60_000]], dtype=torch.int32)
    on_x = per_tensor(0.5, 0, IntegerType(16, signed=False))
    weight, bias = torch.tensor([[1]], dtype=torch.int8), torch.zeros(1, dtype=torch.int32)
    assert widths_of_sums(x, weight, bias, on_x) == torch.float64


def test_sums_are_exact_under_autocast() -> None:
    x = torch.arange(256, dtype=torch.uint8).reshape(2, 128)
    weight = (torch.arange(384) % 255 - 127).to(torch.int8).reshape(3, 128)
    with torch.autocast("cpu", torch.bfloat16):
        widths_of_sums(x, weight, torch.ones(3, dtype=torch.int32), GRID)


# --- their ends ----------------------------------------------------------------------------------


def test_the_ends_of_int32_are_kept() -> None:
    ends = torch.tensor([-(2.0**31) + 1, 2.0**31 - 1], dtype=torch.float64)
    assert as_int32(ends).tolist() == [-(2**31) + 1, 2**31 - 1]


@pytest.mark.parametrize("value", [2.0**31, -(2.0**31) - 1])
def test_what_int32_does_not_hold_is_an_error(value: float) -> None:
    with pytest.raises(ProgramError, match="beyond int32: the input is too large"):
        as_int32(torch.tensor([0.0, value], dtype=torch.float64))


def test_nothing_is_no_error() -> None:
    assert as_int32(torch.zeros(0, 3, dtype=torch.float64)).shape == (0, 3)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (None, None, (0, 255)),
        (0.0, None, (10, 255)),  # ReLU
        (0.0, 6.0, (10, 22)),  # ReLU6
        (-1.0, 1.0, (8, 12)),
        (None, 3.0, (0, 16)),
        (0.74, 1.26, (11, 13)),  # the nearest codes
        (-1e9, 1e9, (0, 255)),  # outside the grid
        (-INF, INF, (0, 255)),
        (0.0, INF, (10, 255)),
        (1e9, None, (255, 255)),
        (None, -1e9, (0, 0)),
        (3.0, 1.0, (12, 12)),  # the upper bound wins, as in torch.clamp
    ],
)
def test_bounds_are_the_codes_of_real_bounds_within_the_grid(
    low: float | None, high: float | None, expected: tuple[int, int]
) -> None:
    assert real_bounds(low, high, GRID) == expected


bounds = st.one_of(st.none(), st.floats(-300.0, 300.0, width=32))
zero_points = st.integers(0, 15)


@given(bounds, bounds, zero_points)
def test_clamping_codes_is_clamping_real_numbers(
    low: float | None, high: float | None, zero_point: int
) -> None:
    params = per_tensor(0.37, zero_point, IntegerType(4, signed=False))
    x = torch.linspace(-7.0, 7.0, 141, dtype=torch.float64)
    clamped = x if low is None and high is None else x.clamp(low, high)
    codes = quantize(x, params).clamp(*real_bounds(low, high, params))
    assert torch.equal(codes, quantize(clamped, params))


@pytest.mark.parametrize(("low", "high"), [(None, None), (0.0, None), (-1.0, 0.5), (None, 0.5)])
def test_the_float_form_of_an_activation_works_in_place(
    low: float | None, high: float | None
) -> None:
    x = torch.tensor([-2.0, -0.5, 0.0, 2.0])
    expected = x.clone() if low is None and high is None else x.clamp(low, high)
    assert clamp_real(x, low, high) is x
    assert torch.equal(x, expected)
