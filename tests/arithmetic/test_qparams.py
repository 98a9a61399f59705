import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.arithmetic.integer import INT8, INT32, UINT8, IntegerType
from zeropoint.arithmetic.qparams import (
    SMALLEST_SCALE,
    QParams,
    asymmetric,
    broadcast,
    dequantize,
    per_tensor,
    quantize,
    simulate,
    symmetric,
)

FLOAT32 = torch.finfo(torch.float32)

Over = Callable[..., QParams]
every_kind = pytest.mark.parametrize("over", [asymmetric, symmetric])

narrow = st.builds(IntegerType, st.integers(2, 8), st.booleans())
ordinary = st.floats(-1e6, 1e6, width=32)
any_real = st.floats(width=32, allow_nan=False, allow_infinity=False)
seeds = st.integers(0, 2**31)


def real(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


@st.composite
def ranges(draw: st.DrawFn, reals: st.SearchStrategy[float]) -> tuple[Tensor, Tensor]:
    low, high = sorted((draw(reals), draw(reals)))
    return scalar(low), scalar(high)


@st.composite
def grids(draw: st.DrawFn) -> QParams:
    """Grids of any width and zero point, as calibrators and programs make them."""
    low, high = draw(ranges(ordinary))
    over = draw(st.sampled_from([asymmetric, symmetric]))
    return over(low, high, draw(narrow))


def samples(params: QParams, seed: int) -> Tensor:
    """Real numbers (float32) all over the grid's range and a bit beyond it."""
    low, high = params.real_range
    random = torch.rand(200, generator=torch.Generator().manual_seed(seed))
    return low + (high - low) * (1.2 * random - 0.1)


def every_code(params: QParams) -> Tensor:
    return torch.arange(params.low, params.high + 1).to(params.type.storage)


# --- equation (1) --------------------------------------------------------------------------------


def test_a_number_goes_to_the_nearest_code_and_halves_to_the_even_one() -> None:
    params = per_tensor(0.5, 10, UINT8)
    x = real(-0.8, -0.75, -0.25, 0.0, 0.25, 0.3, 0.75, 1.0)
    assert quantize(x, params).tolist() == [8, 8, 10, 10, 10, 11, 12, 12]


def test_what_lies_outside_the_grid_goes_to_its_ends() -> None:
    params = per_tensor(0.5, 10, IntegerType(4, signed=False))
    x = real(-1e30, -5.5, 2.5, 3.0, 1e30, -math.inf, math.inf)
    assert quantize(x, params).tolist() == [0, 0, 15, 15, 15, 0, 15]


def test_dequantizing_is_a_scale_times_the_distance_from_the_zero_point() -> None:
    params = per_tensor(0.5, 10, UINT8)
    q = torch.tensor([0, 10, 255], dtype=torch.uint8)
    assert dequantize(q, params).tolist() == [-5.0, 0.0, 122.5]


@given(grids())
def test_zero_is_always_exact(params: QParams) -> None:
    assert params.type.low <= int(params.zero_point) <= params.type.high
    q = quantize(real(0.0), params)
    assert q.item() == params.zero_point.item()
    assert dequantize(q, params).item() == 0.0


@given(grids())
def test_every_code_comes_back_from_the_number_it_stands_for(params: QParams) -> None:
    codes = every_code(params)
    assert torch.equal(quantize(dequantize(codes, params), params), codes)


@given(grids(), seeds)
def test_a_number_within_the_range_is_at_most_half_a_step_from_its_code(
    params: QParams, seed: int
) -> None:
    low, high = params.real_range
    x = samples(params, seed).clamp(low, high)
    error = (dequantize(quantize(x, params), params).double() - x.double()).abs()
    assert error.max() <= 0.5001 * params.scale.double()


@given(grids(), seeds)
def test_quantizing_keeps_the_order(params: QParams, seed: int) -> None:
    x, _ = samples(params, seed).sort()
    assert bool((quantize(x, params).int().diff() >= 0).all())


@given(grids(), seeds)
def test_simulating_is_quantizing_and_dequantizing(params: QParams, seed: int) -> None:
    x = samples(params, seed)
    assert torch.equal(simulate(x, params), dequantize(quantize(x, params), params))
    assert simulate(x.double(), params).dtype == torch.float64


@pytest.mark.parametrize("type", [UINT8, INT8])
def test_onnx_rounds_and_saturates_alike(type: IntegerType) -> None:
    pytest.importorskip("onnx")
    from onnx.helper import make_node
    from onnx.reference import ReferenceEvaluator

    params = per_tensor(0.37, 5, type)
    steps = torch.arange(-300, 300) * 0.25  # halves among them
    x = (steps * params.scale).reshape(2, 3, 100)
    grid = {"s": params.scale.numpy(), "z": params.zero_point.to(type.storage).numpy()}
    node = make_node("QuantizeLinear", ["x", "s", "z"], ["q"])
    (q,) = ReferenceEvaluator(node).run(None, {"x": x.numpy(), **grid})
    assert np.array_equal(q, quantize(x, params).numpy())
    node = make_node("DequantizeLinear", ["q", "s", "z"], ["r"])
    (r,) = ReferenceEvaluator(node).run(None, {"q": q, **grid})
    assert np.array_equal(r, dequantize(quantize(x, params), params).numpy())


# --- affine grids --------------------------------------------------------------------------------


@given(ranges(ordinary), narrow)
def test_an_affine_grid_reaches_both_ends_of_its_range(
    bounds: tuple[Tensor, Tensor], type: IntegerType
) -> None:
    low, high = bounds
    params = asymmetric(low, high, type)
    assume(bool(high - low > 1e-9))
    bottom, top = (end.double() for end in params.real_range)
    # An end closer to zero than half a step has no code of its own.
    half, rounding = 0.5001 * params.scale.double(), 1 - 2.0**-22
    assert bottom <= rounding * low or (-low <= half and params.zero_point == type.low)
    assert top >= rounding * high or (high <= half and params.zero_point == type.high)


def test_no_level_of_an_image_in_minus_one_to_one_lies_between_two_codes() -> None:
    pixels = (torch.arange(256) / 255 - 0.5) / 0.5
    params = asymmetric(scalar(-1.0), scalar(1.0), UINT8)
    steps = pixels.double() / params.scale.double()
    assert ((steps - steps.floor() - 0.5).abs() > 1e-3).all()


@given(st.floats(2.0**-20, 1e6, width=32), narrow)
def test_the_grid_of_one_sided_data_is_one_sided(end: float, type: IntegerType) -> None:
    positive = asymmetric(scalar(0.0), scalar(end), type)
    assert positive.zero_point.item() == type.low
    assert quantize(real(end), positive).item() == type.high
    negative = asymmetric(scalar(-end), scalar(0.0), type)
    assert negative.zero_point.item() == type.high
    assert quantize(real(-end), negative).item() == type.low


def test_data_far_from_zero_get_a_grid_that_holds_zero_all_the_same() -> None:
    params = asymmetric(scalar(5.0), scalar(6.0), UINT8)
    assert params.zero_point.item() == 0
    assert params.scale.item() == pytest.approx(6.0 / 255)


def test_a_signed_affine_grid_around_zero_loses_none_of_its_range() -> None:
    # Its zero point is 0, and then its lowest code is out of use: -1.2 would be clipped to -0.57.
    params = asymmetric(scalar(-1.2), scalar(0.5), IntegerType(2, signed=True))
    assert params.zero_point.item() == 0
    assert dequantize(quantize(real(-1.2), params), params).item() == pytest.approx(-1.2)


# --- symmetric grids -----------------------------------------------------------------------------


@given(ranges(ordinary), st.integers(2, 8), seeds)
def test_a_number_and_its_negative_round_alike_on_a_signed_symmetric_grid(
    bounds: tuple[Tensor, Tensor], bits: int, seed: int
) -> None:
    params = symmetric(*bounds, IntegerType(bits, signed=True))
    x = samples(params, seed)
    assert params.zero_point.item() == 0
    assert torch.equal(quantize(-x, params), -quantize(x, params))


@given(ranges(ordinary), st.integers(2, 8))
def test_a_signed_symmetric_grid_leaves_out_the_lowest_code(
    bounds: tuple[Tensor, Tensor], bits: int
) -> None:
    params = symmetric(*bounds, IntegerType(bits, signed=True))
    top = 2 ** (bits - 1) - 1
    assert (params.low, params.high) == (-top, top)
    assert quantize(real(-math.inf, math.inf), params).tolist() == [-top, top]


def test_the_largest_weight_is_the_largest_code() -> None:
    params = symmetric(scalar(-0.3), scalar(0.2), INT8)
    assert params.scale.item() == pytest.approx(0.3 / 127)
    assert quantize(real(-0.3), params).item() == -127


def test_an_unsigned_symmetric_grid_has_zero_in_its_middle() -> None:
    params = symmetric(scalar(-2.0), scalar(1.0), UINT8)
    assert params.zero_point.item() == 128
    assert quantize(real(-2.0, 2.0), params).tolist() == [1, 255]


def test_an_unsigned_symmetric_grid_of_one_sided_data_wastes_no_code() -> None:
    params = symmetric(scalar(0.0), scalar(2.55), UINT8)
    assert params.zero_point.item() == 0
    assert params.scale.item() == pytest.approx(0.01)


# --- one scale for each channel ------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
@every_kind
def test_every_channel_is_quantized_like_a_tensor_of_its_own(over: Over, axis: int) -> None:
    x = torch.randn(4, 3, 5, 2, generator=torch.Generator().manual_seed(0))
    channels = x.movedim(axis, 0)
    low, high = channels.flatten(1).amin(1), channels.flatten(1).amax(1)
    together = over(low, high, UINT8, axis)
    q = quantize(x, together).movedim(axis, 0)
    back = dequantize(quantize(x, together), together).movedim(axis, 0)
    for i, channel in enumerate(channels):
        alone = over(low[i], high[i], UINT8)
        assert torch.equal(q[i], quantize(channel, alone))
        assert torch.equal(back[i], dequantize(quantize(channel, alone), alone))


def test_a_scale_is_laid_along_its_axis() -> None:
    scale = real(1.0, 2.0)
    assert broadcast(scale, 4, 1).shape == (1, 2, 1, 1)
    assert broadcast(scale, 4, 0).shape == (2, 1, 1, 1)
    assert broadcast(real(1.0)[0], 4, None).shape == ()


# --- ranges that hold nothing, or next to nothing, or everything ---------------------------------


@every_kind
def test_an_empty_range_gets_the_scale_one(over: Over) -> None:
    params = over(scalar(0.0), scalar(0.0), UINT8)
    assert params.scale.item() == 1.0
    assert dequantize(quantize(real(0.0), params), params).item() == 0.0


@every_kind
@given(bounds=ranges(any_real), type=narrow)
def test_no_range_gives_a_scale_of_zero_or_numbers_that_are_not(
    over: Over, bounds: tuple[Tensor, Tensor], type: IntegerType
) -> None:
    params = over(*bounds, type)
    scale = params.scale.item()
    assert SMALLEST_SCALE * 0.99 <= scale < math.inf
    for x in (*bounds, scalar(0.0), scalar(FLOAT32.tiny), scalar(-FLOAT32.max)):
        q = quantize(x.float(), params)
        assert params.low <= int(q) <= params.high
        assert not dequantize(q, params).isnan()


@every_kind
@given(bounds=ranges(any_real), type=narrow)
def test_the_scale_of_a_product_is_a_normal_number(
    over: Over, bounds: tuple[Tensor, Tensor], type: IntegerType
) -> None:
    # A bias has the scale s_x s_w; it divides by it, so neither may vanish.
    scale = over(*bounds, type).scale
    assert scale * torch.tensor(SMALLEST_SCALE) >= FLOAT32.tiny
    assert 0.0 < 1.0 / scale < math.inf


def test_one_dead_channel_does_not_disturb_the_others() -> None:
    params = symmetric(real(0.0, -1.27), real(0.0, 1.0), INT8, axis=0)
    assert params.scale.tolist() == pytest.approx([1.0, 0.01])


# --- the class -----------------------------------------------------------------------------------


def test_parameters_are_equal_if_all_their_numbers_are() -> None:
    assert per_tensor(0.5, 3, UINT8) == per_tensor(0.5, 3, UINT8)
    assert per_tensor(0.5, 3, UINT8) != per_tensor(0.25, 3, UINT8)
    assert per_tensor(0.5, 3, UINT8) != per_tensor(0.5, 4, UINT8)
    assert per_tensor(0.5, 3, UINT8) != per_tensor(0.5, 3, IntegerType(7, signed=False))
    assert per_tensor(0.5, 0, UINT8) != 0.5


def test_parameters_do_not_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(per_tensor(0.5, 3, UINT8))


def test_the_real_range_is_what_the_end_codes_stand_for() -> None:
    low, high = per_tensor(0.5, 10, UINT8).real_range
    assert (low.item(), high.item()) == (-5.0, 122.5)


def test_a_bias_of_half_the_range_of_int32_is_kept_to_the_unit() -> None:
    params = per_tensor(1.0, 0, INT32)
    x = torch.tensor([2.0**30 + 1, -(2.0**30) - 1], dtype=torch.float64)
    assert quantize(x, params).tolist() == [2**30 + 1, -(2**30) - 1]
