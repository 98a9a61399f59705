from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.ops.spelled import assert_close, assert_codes_move, inputs
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import dequantize, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.ops.upsample import Interpolate, Nearest

COPIES: dict[str, tuple[Callable[[Tensor], Tensor], object]] = {
    "a factor": (lambda y: F.interpolate(y, scale_factor=2), Nearest(factors=(2.0, 2.0))),
    "two factors": (
        lambda y: F.interpolate(y, scale_factor=(3, 1.5)),
        Nearest(factors=(3.0, 1.5)),
    ),
    "a size": (lambda y: F.interpolate(y, size=(7, 9)), Nearest((7, 9))),
    "smaller": (lambda y: F.interpolate(y, scale_factor=0.5), Nearest(factors=(0.5, 0.5))),
    "Upsample": (nn.Upsample(scale_factor=2), Nearest(factors=(2.0, 2.0))),
    "UpsamplingNearest2d": (nn.UpsamplingNearest2d(scale_factor=2), Nearest(factors=(2.0, 2.0))),
    "exact": (
        lambda y: F.interpolate(y, scale_factor=2, mode="nearest-exact"),
        Nearest(factors=(2.0, 2.0), exact=True),
    ),
}


@pytest.mark.parametrize(("function", "op"), COPIES.values(), ids=COPIES)
def test_the_nearest_is_a_copy_on_the_same_grid(
    function: Callable[[Tensor], Tensor], op: object
) -> None:
    assert assert_codes_move(function, inputs(4, 6), inputs(6, 4)) == [op]


@pytest.mark.parametrize("sizes", [(6,), (4, 5, 6)])
def test_the_nearest_works_in_one_and_three_dimensions(sizes: tuple[int, ...]) -> None:
    (op,) = assert_codes_move(lambda y: F.interpolate(y, scale_factor=2), inputs(*sizes))
    assert op == Nearest(factors=(2.0,) * len(sizes))


def test_a_size_may_be_that_of_another_image() -> None:
    function = lambda y: F.interpolate(y[:, :, ::2, ::2], size=y.shape[2:])  # noqa: E731
    assert_codes_move(function, inputs(6, 8), inputs(5, 7))


MIXTURES: dict[str, tuple[Callable[[Tensor], Tensor], object]] = {
    "bilinear": (
        lambda y: F.interpolate(y, scale_factor=2, mode="bilinear"),
        Interpolate(factors=(2.0, 2.0)),
    ),
    "with corners": (
        lambda y: F.interpolate(y, size=(7, 9), mode="bilinear", align_corners=True),
        Interpolate((7, 9), align_corners=True),
    ),
    "UpsamplingBilinear2d": (
        nn.UpsamplingBilinear2d(scale_factor=2),
        Interpolate(factors=(2.0, 2.0), align_corners=True),
    ),
    "to a computed size": (
        lambda y: F.interpolate(y, size=(y.shape[2] * 2, y.shape[3] + 1), mode="bilinear"),
        Interpolate((None, None)),
    ),
}


@pytest.mark.parametrize(("function", "op"), MIXTURES.values(), ids=MIXTURES)
def test_a_bilinear_interpolation_runs_in_integers(
    function: Callable[[Tensor], Tensor], op: object
) -> None:
    assert assert_close(function, inputs(4, 6), inputs(6, 4)) == [op]


def test_a_factor_that_is_computed_anew_is_a_size() -> None:
    def function(y: Tensor) -> Tensor:
        return F.interpolate(y, scale_factor=1.5, mode="bilinear", recompute_scale_factor=True)

    assert assert_close(function, inputs(4, 6), inputs(5, 4)) == [Interpolate((None, None))]


@pytest.mark.parametrize(("sizes", "mode"), [((6,), "linear"), ((3, 4, 5), "trilinear")])
def test_lines_and_volumes_are_interpolated_too(sizes: tuple[int, ...], mode: str) -> None:
    function = lambda y: F.interpolate(y, scale_factor=2, mode=mode)  # noqa: E731
    assert assert_close(function, inputs(*sizes)) == [Interpolate(factors=(2.0,) * len(sizes))]


def test_it_reads_an_activation_and_sizes_and_has_a_grid_of_its_own() -> None:
    assert Interpolate((None, None)).roles(3) == (Role.ACTIVATION, Role.SIZE, Role.SIZE)
    assert Interpolate.grid is Grid.OWN


# --- positions -----------------------------------------------------------------------------------


def test_twice_as_many_elements_lie_at_quarters() -> None:
    (found,) = Interpolate(factors=(2.0,)).positions([3])
    assert found.parts == 4
    assert found.before.tolist() == [0, 0, 0, 1, 1, 2]
    assert found.after.tolist() == [1, 1, 1, 2, 2, 2]
    assert found.share.tolist() == [0, 1, 3, 1, 3, 1]


def test_with_corners_the_ends_stay_where_they_are() -> None:
    (found,) = Interpolate((5,), align_corners=True).positions([3])
    assert found.parts == 2
    assert found.before.tolist() == [0, 0, 1, 1, 2]
    assert found.share.tolist() == [0, 1, 0, 1, 0]
    (one,) = Interpolate((1,), align_corners=True).positions([3])
    assert (one.before.tolist(), one.share.tolist()) == ([0], [0])


def test_a_factor_is_the_fraction_that_it_is_meant_to_be() -> None:
    (found,) = Interpolate(factors=(1.3,)).positions([10])
    assert len(found.before) == 13
    assert found.parts == 26


@given(st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_positions_are_exact(length: int, wanted: int, corners: bool) -> None:
    (found,) = Interpolate((wanted,), align_corners=corners).positions([length])
    for i in range(wanted):
        if corners:
            exact = Fraction(i * (length - 1), wanted - 1) if wanted > 1 else Fraction(0)
        else:
            exact = max(Fraction((2 * i + 1) * length, 2 * wanted) - Fraction(1, 2), Fraction(0))
        place = int(found.before[i]) + Fraction(int(found.share[i]), found.parts)
        assert min(place, length - 1) == min(exact, length - 1)


@pytest.mark.parametrize("lengths", [(4001, 2999), (251, 241, 199)])
def test_where_the_parts_would_leave_int32_they_are_rounded(lengths: tuple[int, ...]) -> None:
    op = Interpolate(tuple(n + 2 for n in lengths))
    found = op.positions(lengths)
    parts = 1 << 22 // len(lengths)
    assert [positions.parts for positions in found] == [parts] * len(lengths)
    assert parts ** len(lengths) * 255 < 2**31
    for positions, length in zip(found, lengths, strict=True):
        index = torch.arange(length + 2, dtype=torch.float64)
        exact = ((index + 0.5) * length / (length + 2) - 0.5).clamp(min=0)
        place = positions.before + positions.share / parts
        assert (place - exact).abs().max() <= 0.5 / parts + 1e-9


@given(st.integers(0, 255), st.booleans(), st.integers(2, 9))
def test_a_flat_image_stays_flat(code: int, corners: bool, wanted: int) -> None:
    grid = per_tensor(0.03, 77, UINT8)
    q = torch.full((1, 2, 3, 5), code, dtype=torch.uint8)
    op = Interpolate((wanted, wanted + 1), align_corners=corners)
    y = op.run_integer([q], Signature((grid,), grid), Float32())
    assert torch.equal(y, torch.full((1, 2, wanted, wanted + 1), code, dtype=torch.uint8))


def test_the_integer_form_is_torch_s_interpolation_rounded_once() -> None:
    x, y = per_tensor(0.0371, 13, UINT8), per_tensor(0.0293, 5, UINT8)
    q = torch.randint(0, 256, (2, 3, 7, 5), dtype=torch.uint8)
    for op in (
        Interpolate((9, 12)),
        Interpolate(factors=(2.0, 3.0)),
        Interpolate((9, 9), (), True),
    ):
        found = dequantize(op.run_integer([q], Signature((x,), y), Float32()), y)
        low, high = y.real_range
        expected = op.run(dequantize(q, x).double()).clamp(float(low), float(high))
        assert (found - expected).abs().max() <= 0.501 * y.scale
