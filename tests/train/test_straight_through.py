"""Fake quantization against torch's own, and against the definition."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import backward

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, broadcast, simulate
from zeropoint.train.straight_through import ROW, Range, fake_quantize, whole

CHANNELS = 3


@dataclass(frozen=True)
class Case:
    """Data, a grid, and a gradient."""

    x: Tensor
    gradient: Tensor
    params: QParams

    @property
    def scale(self) -> Tensor:
        return broadcast(self.params.scale, self.x.ndim, self.params.axis).to(self.x.dtype)

    @property
    def zero_point(self) -> Tensor:
        return broadcast(self.params.zero_point, self.x.ndim, self.params.axis).to(self.x.dtype)

    @property
    def range(self) -> Range:
        return whole(self.params.low, self.params.high)


@st.composite
def cases(draw: st.DrawFn, *, per_channel: bool = False, dtype: torch.dtype = torch.float32) -> Any:
    """Images (4, 3, 2, 5) of which a good part is clipped; none lies next to a rounding edge."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    type = IntegerType(draw(st.integers(2, 8)), signed=draw(st.booleans()))
    shape = (CHANNELS,) if per_channel else ()
    scale = 2.0 ** draw(st.integers(-12, 6)) * (0.5 + torch.rand(shape, generator=generator))
    zero_point = torch.randint(type.low, type.high + 1, shape, generator=generator)
    axis = draw(st.sampled_from([0, 1])) if per_channel else None
    params = QParams(scale, zero_point.to(torch.int32), type, axis)
    sizes = (CHANNELS, 4, 2, 5) if axis == 0 else (4, CHANNELS, 2, 5)
    steps = (2 ** (type.bits - 1)) * torch.randn(sizes, generator=generator, dtype=torch.float64)
    steps = torch.where((steps.frac().abs() - 0.5).abs() < 0.01, steps.round(), steps)
    x = (steps * broadcast(scale, 4, axis)).to(dtype)
    gradient = torch.randn(sizes, generator=generator).to(dtype)
    if draw(st.booleans()):
        x = x.contiguous(memory_format=torch.channels_last)
    if draw(st.booleans()):
        gradient = gradient.contiguous(memory_format=torch.channels_last)
    return Case(x, gradient, params)


def ran(case: Case, *, moves: bool = True, range: Range | None = None) -> tuple[Tensor, ...]:
    """The result, and the gradients of x, of the scale, and of the zero point if it `moves`."""
    x, scale = case.x.clone().requires_grad_(), case.scale.clone().requires_grad_()
    zero_point = case.zero_point.clone().requires_grad_(moves)
    y = fake_quantize(x, scale, zero_point, range or case.range)
    backward(y, case.gradient)
    found = [y.detach(), x.grad, scale.grad, zero_point.grad if moves else None]
    return tuple(tensor for tensor in found if tensor is not None)


# --- values --------------------------------------------------------------------------------------


@given(cases())
def test_per_tensor_the_values_are_those_of_torch_to_the_bit(case: Case) -> None:
    params = case.params
    expected = torch.fake_quantize_per_tensor_affine(
        case.x, params.scale, params.zero_point, params.low, params.high
    )
    assert torch.equal(fake_quantize(case.x, case.scale, case.zero_point, case.range), expected)


@given(cases(per_channel=True))
def test_per_channel_the_values_are_those_of_torch_to_the_bit(case: Case) -> None:
    params = case.params
    assert params.axis is not None
    expected = torch.fake_quantize_per_channel_affine(
        case.x, params.scale, params.zero_point, params.axis, params.low, params.high
    )
    assert torch.equal(fake_quantize(case.x, case.scale, case.zero_point, case.range), expected)


@given(st.one_of(cases(), cases(per_channel=True)))
def test_the_values_are_those_of_the_program(case: Case) -> None:
    found = fake_quantize(case.x, case.scale, case.zero_point, case.range)
    assert torch.equal(found, simulate(case.x, case.params))


@given(cases())
def test_a_fixed_zero_point_may_be_a_number(case: Case) -> None:
    number = int(case.params.zero_point)
    found = fake_quantize(case.x, case.scale, number, case.range)
    assert torch.equal(found, simulate(case.x, case.params))


@pytest.mark.parametrize("zero_point", [0, 1, 4, 7])
def test_halves_go_to_the_even_step_from_zero_whatever_the_zero_point(zero_point: int) -> None:
    """As in equation (1): round(r / s) + z."""
    x = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    one = torch.ones(())
    expected = torch.tensor([-2.0, -2.0, 0.0, 0.0, 2.0, 2.0])
    for kind in (zero_point, torch.tensor(float(zero_point))):
        found = fake_quantize(x, one, kind, whole(-100, 100))
        assert torch.equal(found, expected)
    each = torch.full((6,), float(zero_point))
    assert torch.equal(fake_quantize(x, torch.ones(6), each, whole(-100, 100)), expected)


# --- gradients -----------------------------------------------------------------------------------


@given(cases().filter(lambda case: not case.params.type.signed))
def test_per_tensor_the_gradients_are_those_of_torch(case: Case) -> None:
    """Of unsigned grids: torch's backward rounds a negative zero point up by one."""
    x = case.x.clone().requires_grad_()
    scale = case.params.scale.reshape(1).clone().requires_grad_()
    zero_point = case.params.zero_point.to(torch.float32).reshape(1).requires_grad_()
    low, high = case.params.low, case.params.high
    y = torch._fake_quantize_learnable_per_tensor_affine(x, scale, zero_point, low, high, 1.0)
    backward(y, case.gradient)
    _, of_x, of_scale, of_zero_point = ran(case)
    assert x.grad is not None
    assert scale.grad is not None
    assert zero_point.grad is not None
    assert torch.equal(of_x, x.grad)
    # Torch sums in float32 as well, in another order.
    bound = 1e-5 * float(case.gradient.abs().sum()) * 2**case.params.type.bits
    assert (of_scale - scale.grad[0]).abs() <= bound
    assert (of_zero_point - zero_point.grad[0]).abs() <= bound * float(case.params.scale)


@given(cases(per_channel=True))
def test_per_channel_the_gradients_are_those_of_torch(case: Case) -> None:
    x = case.x.clone().requires_grad_()
    scale = case.params.scale.clone().requires_grad_()
    zero_point = case.params.zero_point.to(torch.float32)
    axis, low, high = case.params.axis, case.params.low, case.params.high
    assert axis is not None
    y = torch._fake_quantize_learnable_per_channel_affine(
        x, scale, zero_point, axis, low, high, 1.0
    )
    backward(y, case.gradient)
    _, of_x, of_scale = ran(case, moves=False)
    assert x.grad is not None
    assert scale.grad is not None
    assert torch.equal(of_x, x.grad)
    assert of_scale.shape == case.scale.shape
    bound = 1e-5 * float(case.gradient.abs().sum()) * 2**case.params.type.bits
    assert (of_scale.reshape(-1) - scale.grad).abs().max() <= bound


def by_definition(case: Case, range: Range) -> tuple[Tensor, ...]:
    """The equations of straight_through.py, written as they stand there."""
    s, z, g = case.scale, case.zero_point, case.gradient
    v = case.x / s
    q = (v.round() + z).clamp(range.low, range.high)
    passes = (range.floor < v + z) & (v + z < range.ceiling)
    of_scale = (g * torch.where(passes, q - z - v, q - z)).sum_to_size(s.shape)
    of_zero_point = (g * torch.where(passes, 0.0, -s)).sum_to_size(z.shape)
    return s * (q - z), torch.where(passes, g, 0.0), of_scale, of_zero_point


@given(cases(dtype=torch.float64))
def test_in_float64_all_is_as_defined(case: Case) -> None:
    for found, expected in zip(ran(case), by_definition(case, case.range), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@given(cases(per_channel=True, dtype=torch.float64))
def test_in_float64_all_is_as_defined_per_channel_too(case: Case) -> None:
    expected = by_definition(case, case.range)[:3]
    for found, wanted in zip(ran(case, moves=False), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


@given(cases(dtype=torch.float64))
def test_behind_a_relu_the_clamp_is_the_relu(case: Case) -> None:
    """On a grid that begins at zero `floor` = z gives what ReLU and fake quantization give."""
    zero = case.params.low
    params = QParams(case.params.scale, torch.tensor(zero, dtype=torch.int32), case.params.type)
    if params.low != zero:  # a signed grid around zero
        return
    case = Case(case.x, case.gradient, params)
    floor = Range(params.low, params.high, float(params.low), params.high + 0.5)
    x, scale = case.x.clone().requires_grad_(), case.scale.clone().requires_grad_()
    y = fake_quantize(x.relu(), scale, zero, case.range)
    backward(y, case.gradient)
    expected = (y.detach(), x.grad, scale.grad)
    for found, wanted in zip(ran(case, moves=False, range=floor), expected, strict=True):
        assert wanted is not None
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_at_zero_itself_a_relu_passes_no_gradient() -> None:
    x = torch.zeros(3).requires_grad_()
    backward(fake_quantize(x, torch.ones(()), 0, Range(0, 255, 0.0, 255.5)).sum())
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros(3))


def test_beyond_the_bounds_no_gradient_passes_and_just_inside_it_does() -> None:
    x = torch.tensor([-2.6, -2.4, 1.4, 1.6]).requires_grad_()
    backward(fake_quantize(x, torch.ones(()), 0, whole(-2, 1)).sum())
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_where_no_gradient_passes_an_infinite_one_does_no_harm() -> None:
    each = torch.zeros(2)
    for zero_point in (0, each):
        x = torch.tensor([9.0, 0.3]).requires_grad_()
        y = fake_quantize(x, torch.ones(2), zero_point, whole(-2, 1))
        backward(y, torch.tensor([torch.inf, 1.0]))
        assert x.grad is not None
        assert x.grad.tolist() == [0.0, 1.0]


# --- dtypes and memory formats -------------------------------------------------------------------


@given(cases(dtype=torch.bfloat16))
def test_in_bfloat16_the_steps_are_those_of_x_over_s_in_bfloat16(case: Case) -> None:
    """The scale itself is not cut to 8 bits: that would stretch the whole grid by up to 1 / 512."""
    scale, zero = case.params.scale, int(case.params.zero_point)
    y = fake_quantize(case.x, scale, zero, case.range)
    v = (case.x.double() * scale.reciprocal().double()).to(torch.bfloat16).double()
    q = (v.round() + zero).clamp(case.range.low, case.range.high)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, ((q - zero) * scale.double()).to(torch.bfloat16))


@given(st.one_of(cases(dtype=torch.bfloat16), cases(per_channel=True, dtype=torch.bfloat16)))
def test_in_bfloat16_gradients_are_those_of_float32_to_its_precision(case: Case) -> None:
    exact = Case(case.x.double(), case.gradient.double(), case.params)
    per_tensor = case.params.axis is None
    x, scale = case.x.clone().requires_grad_(), case.params.scale.clone()
    scale = broadcast(scale, 4, case.params.axis).requires_grad_()
    zero_point = case.zero_point.to(torch.float32).requires_grad_(per_tensor)
    backward(fake_quantize(x, scale, zero_point, case.range), case.gradient)
    _, of_x, of_scale, of_zero_point = by_definition(exact, case.range)
    assert x.grad is not None
    assert scale.grad is not None
    assert (x.grad.dtype, scale.grad.dtype) == (torch.bfloat16, torch.float32)
    edge = (exact.x / exact.scale + exact.zero_point).frac().abs() - 0.5
    near = edge.abs() < 2.0 ** (case.params.type.bits - 7)  # may be on the other side of a bound
    assert torch.equal(x.grad.double()[~near], of_x[~near])
    size = float(case.gradient.double().abs().sum()) * 2**case.params.type.bits
    assert (scale.grad - of_scale).abs().max() <= 2**-6 * size
    if per_tensor:
        assert zero_point.grad is not None
        bound = float(case.params.scale) * (2**-6 * size)
        assert (zero_point.grad - of_zero_point).abs() <= bound


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_gradients_do_not_depend_on_memory_formats(axis: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    x, g = torch.randn(2, 3, 3, 4, 5, generator=generator, dtype=torch.float64)
    scale = torch.rand(() if axis is None else (3,), generator=generator) + 0.1
    params = QParams(scale, torch.zeros_like(scale, dtype=torch.int32), IntegerType(3, True), axis)
    expected = ran(Case(x, g, params), moves=False)
    wide = {"memory_format": torch.channels_last}
    apart = torch.randn(3, 3, 4, 10, generator=generator, dtype=torch.float64)[..., ::2]
    for first in (x, x.contiguous(**wide), apart.copy_(x)):
        for second in (g, g.contiguous(**wide)):
            found = ran(Case(first, second, params), moves=False)
            for tensor, wanted in zip(found, expected, strict=True):
                torch.testing.assert_close(tensor, wanted)


def test_a_gradient_that_is_one_number_expanded_is_summed_like_any_other() -> None:
    """As the backward of sum() and mean() makes it, with strides of 0."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 4, generator=generator).contiguous(memory_format=torch.channels_last)
    scale = torch.tensor(0.3)
    gradients = []
    for g in (torch.ones(()).expand(x.shape), torch.ones(x.shape)):
        s = scale.clone().requires_grad_()
        backward(fake_quantize(x, s, 0, whole(-3, 3)), g)
        gradients.append(s.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last])
def test_many_numbers_in_bfloat16_are_summed_in_float32(format: torch.memory_format) -> None:
    """They go another way than few: whole rows are summed without a copy in float32."""
    generator = torch.Generator().manual_seed(0)
    x, g = torch.randn(2, 4, 16, 8, 8, generator=generator).to(torch.bfloat16)
    x, g = x.contiguous(memory_format=format), g.contiguous(memory_format=format)
    assert x.numel() % ROW == 0
    scale, zero_point = torch.tensor(0.03).requires_grad_(), torch.tensor(5.0).requires_grad_()
    y = fake_quantize(x, scale, zero_point, whole(-20, 100))
    backward(y, g)
    s = scale.detach().double()
    v = (x.double() * (1 / s)).to(torch.bfloat16).double()
    passes = (v + 5 > -20.5) & (v + 5 < 100.5)
    # y and v as bfloat16 has them: only the sums are compared.
    exact = (g.double() * (y.detach().double() / s - torch.where(passes, v, 0.0))).sum()
    assert scale.grad is not None
    assert zero_point.grad is not None
    assert abs(scale.grad - exact) <= 1e-4 * abs(exact)
    torch.testing.assert_close(zero_point.grad.double(), -s * g.double()[~passes].sum())


def test_a_gradient_goes_on_in_the_memory_format_of_the_data() -> None:
    """What stands before computes in it, and several times slower in two formats at once."""
    formats = []
    x = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    turned = x * 2
    turned.register_hook(  # type: ignore[no-untyped-call]  # torch's
        lambda g: formats.append(g.is_contiguous(memory_format=torch.channels_last))
    )
    backward(fake_quantize(turned, torch.tensor(0.1), 0, whole(-8, 7)).mean((2, 3)).sum())
    assert formats == [True]


@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last])
def test_the_result_keeps_the_memory_format(format: torch.memory_format) -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=format)
    for scale in (torch.tensor(0.1), torch.full((3, 1, 1), 0.1)):
        y = fake_quantize(x, scale, 0, whole(-8, 7))
        assert y.is_contiguous(memory_format=format)


def test_what_needs_no_gradient_gets_none() -> None:
    x, scale = torch.randn(4), torch.tensor(0.1).requires_grad_()
    backward(fake_quantize(x, scale, 0, whole(-8, 7)).sum())
    assert x.grad is None
    assert scale.grad is not None


def test_a_scale_of_shape_one_gets_a_gradient_of_that_shape() -> None:
    scale = torch.full((1, 1, 1, 1), 0.1).requires_grad_()
    backward(fake_quantize(torch.randn(2, 1, 3, 3), scale, 0, whole(-8, 7)).sum())
    assert scale.grad is not None
    assert scale.grad.shape == (1, 1, 1, 1)


def test_a_zero_point_that_is_not_finite_gives_what_is_not_finite() -> None:
    """So that the module can name the parameter; int() would raise something else."""
    y = fake_quantize(torch.ones(2), torch.ones(()), torch.tensor(torch.nan), whole(0, 255))
    assert bool(y.isnan().all())
