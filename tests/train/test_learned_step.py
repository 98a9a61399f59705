import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import backward

from tests.train.starts import activation, behind_a_relu, weight
from zeropoint.arithmetic.qparams import simulate
from zeropoint.train.learned_step import LEAST_SHARE, LearnedGrid, LearnedStep
from zeropoint.train.method import Start

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(6, 3, 4, 5, generator=GENERATOR)
WEIGHT = torch.randn(6, 3, 4, 5, generator=GENERATOR)
GRADIENT = torch.randn(6, 3, 4, 5, generator=GENERATOR)


def learned(start: Start, **options: int) -> LearnedGrid:
    grid = LearnedStep(**options).quantizer(start)
    assert isinstance(grid, LearnedGrid)
    return grid


def of_scale(grid: LearnedGrid, x: Tensor) -> Tensor:
    """Equation (3) of the paper, summed over what shares a scale, with GRADIENT."""
    params = grid.grid(x)
    s, z = params.scale, params.zero_point
    if params.axis == 0:
        s, z = s.reshape(-1, 1, 1, 1), z.reshape(-1, 1, 1, 1)
    v = x / s
    q = (v.round() + z).clamp(params.low, params.high)
    passes = (v + z > params.low - 0.5) & (v + z < params.high + 0.5)
    terms = GRADIENT * (q - z - torch.where(passes, v, 0.0))
    return terms.sum((1, 2, 3)) if params.axis == 0 else terms.sum()


def pace(start: Start) -> Tensor:
    """What the gradient is multiplied by where training does not begin at the paper's start."""
    papers = 2 * start.mean_magnitude / math.sqrt(start.params.high)
    return (start.params.scale / papers).square().clamp(max=1.0)


# --- the gradient of the scale -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "x", "count"),
    [
        (behind_a_relu(0.02), IMAGES, 60),
        (activation(0.02, 100), IMAGES, 60),
        (weight(WEIGHT), WEIGHT, 60),
        (weight(WEIGHT, axis=None), WEIGHT, 360),
        (weight(WEIGHT, symmetric=False, axis=None), WEIGHT, 360),
    ],
    ids=["one-sided", "two-sided", "per channel", "per tensor", "asymmetric"],
)
def test_it_is_damped_by_the_root_of_elements_times_the_greatest_code(
    start: Start, x: Tensor, count: int
) -> None:
    """N is that of an image, of a weight's channel, or of the whole weight that has one scale."""
    grid = learned(start)
    backward(grid(x), GRADIENT)
    damping = 1 / math.sqrt(count * start.params.high)
    assert grid.change.grad is not None
    expected = damping * of_scale(grid, x) / start.params.scale * pace(start)
    torch.testing.assert_close(grid.change.grad, expected, rtol=1e-4, atol=1e-5)


def test_sgd_moves_the_scale_as_in_the_paper() -> None:
    """From the paper's start: a step on the relative change is that step on the scale itself."""
    grid = learned(weight(WEIGHT, bits=4))
    before = grid.grid(WEIGHT).scale
    backward(grid(WEIGHT), GRADIENT)
    expected = before - 0.1 * of_scale(grid, WEIGHT) / math.sqrt(60 * 7)
    torch.optim.SGD([grid.change], 0.1).step()
    torch.testing.assert_close(grid.grid(WEIGHT).scale, expected, rtol=1e-4, atol=1e-6)


def test_a_calibrated_grid_moves_by_the_share_by_which_the_papers_would() -> None:
    """An outer weight is clipped by a fine grid; its scale must not jump to it."""
    start = weight(WEIGHT, bits=8)
    fine, papers = learned(start), learned(start, calibrated_bits=9)
    assert (fine.grid(WEIGHT).scale < papers.grid(WEIGHT).scale / 2).all()
    assert (papers.pace == 1).all()
    ratio = (fine.grid(WEIGHT).scale / papers.grid(WEIGHT).scale).square()
    torch.testing.assert_close(fine.pace, ratio)


def test_a_grid_coarser_than_the_papers_moves_as_sgd_moves_it() -> None:
    start = behind_a_relu(0.25, mean=0.1)
    assert learned(start).pace == 1.0


def test_weight_decay_draws_to_the_calibrated_scale() -> None:
    grid = learned(behind_a_relu(0.25))
    grid.change.data.fill_(0.5)
    grid.change.grad = torch.zeros(())
    optimizer = torch.optim.SGD([grid.change], 0.1, weight_decay=1.0)
    for _ in range(200):
        optimizer.step()
    assert abs(grid.grid(torch.empty(0)).scale.item() - 0.25) < 1e-6


def test_the_scale_stays_positive_and_can_come_back() -> None:
    grid = learned(behind_a_relu(0.25))
    grid.change.data.fill_(-50.0)
    x = torch.rand(5, generator=torch.Generator().manual_seed(0))
    assert grid.grid(x).scale.item() == LEAST_SHARE * 0.25
    assert torch.equal(grid(x), simulate(x, grid.grid(x)))
    backward(grid(-x.abs() + 2).sum())
    assert grid.change.grad is not None
    assert grid.change.grad != 0


def test_the_scale_is_a_float32_number_in_any_dtype() -> None:
    """So that training, evaluation and the program have one and the same."""
    grid = learned(behind_a_relu(0.3)).double()
    grid.change.data.fill_(0.123456789)
    x = 10 * torch.rand(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(grid(x), simulate(x, grid.grid(x)))


# --- the zero point ------------------------------------------------------------------------------


@given(st.integers(2, 8), st.integers(0, 255), st.floats(-0.99, 9.0), st.floats(-300.0, 300.0))
def test_zero_is_always_exact(bits: int, zero_point: int, change: float, shift: float) -> None:
    grid = learned(activation(0.1, min(zero_point, 2**bits - 1), bits=bits))
    grid.change.data.fill_(change)
    assert grid.shift is not None
    grid.shift.data.fill_(shift)
    assert grid(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    params = grid.grid(torch.empty(0))
    assert 0 <= int(params.zero_point) <= 2**bits - 1


def test_the_zero_point_of_two_sided_data_is_learned() -> None:
    """By the gradient of the real offset -s z, in its units: with dz / d(-s z) = -1 / s."""
    start = activation(0.02, 100)
    grid = learned(start)
    y = grid(IMAGES)
    backward(y, GRADIENT)
    clipped = (IMAGES / 0.02 + 100 < -0.5) | (IMAGES / 0.02 + 100 > 255.5)
    of_z = -0.02 * (GRADIENT * clipped).sum()
    assert grid.shift is not None
    assert grid.shift.grad is not None
    expected = of_z / math.sqrt(60 * 255) / 0.02**2 * pace(start)
    torch.testing.assert_close(grid.shift.grad, expected, rtol=1e-4, atol=1e-4)


def test_the_zero_point_is_whole_in_every_pass() -> None:
    grid = learned(activation(0.25, 100))
    assert grid.shift is not None
    grid.shift.data.fill_(-2.4)
    assert int(grid.grid(torch.empty(0)).zero_point) == 98
    x = 40 * torch.randn(100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(grid(x), simulate(x, grid.grid(x)))


def test_other_grids_have_no_zero_point_to_learn() -> None:
    assert learned(behind_a_relu()).shift is None
    assert learned(activation(zero_point=128, symmetric=True)).shift is None
    assert learned(weight(WEIGHT)).shift is None
    assert learned(weight(WEIGHT, symmetric=False)).shift is None  # one for each channel
    assert learned(weight(WEIGHT, symmetric=False, axis=None)).shift is not None


# --- the start -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "high"), [(2, 3), (3, 7), (4, 15)])
def test_at_few_bits_it_begins_where_the_paper_does(bits: int, high: int) -> None:
    grid = learned(behind_a_relu(0.25, bits=bits, mean=0.7))
    expected = torch.tensor(2 * 0.7 / math.sqrt(high))
    torch.testing.assert_close(grid.grid(torch.empty(0)).scale, expected)


@pytest.mark.parametrize(("bits", "high"), [(2, 1), (3, 3), (4, 7)])
def test_so_does_each_channel_of_a_weight(bits: int, high: int) -> None:
    expected = 2 * WEIGHT.abs().mean((1, 2, 3)) / math.sqrt(high)
    grid = learned(weight(WEIGHT, bits=bits))
    torch.testing.assert_close(grid.grid(WEIGHT).scale, expected)


def test_from_five_bits_on_it_begins_where_the_calibrator_says() -> None:
    for bits in (5, 8):
        start = weight(WEIGHT, bits=bits)
        assert learned(start).grid(WEIGHT) == start.params
    start = behind_a_relu(0.25, bits=4)
    assert learned(start, calibrated_bits=4).grid(torch.empty(0)) == start.params


def test_a_channel_of_zeros_keeps_the_calibrated_scale() -> None:
    data = torch.cat([WEIGHT[:1], torch.zeros_like(WEIGHT[:1])])
    grid = learned(weight(data, bits=2))
    assert grid.grid(data).scale[1] == 1.0


# --- going on ------------------------------------------------------------------------------------


def test_other_bits_begin_anew_and_a_zero_point_that_could_move_still_can() -> None:
    grid = learned(activation(0.02, 100))
    grid.change.data.fill_(0.5)
    assert grid.shift is not None
    grid.shift.data.fill_(7.0)
    later = activation(0.5, 0, bits=5)
    grid.begin(later)
    assert grid.grid(torch.empty(0)) == later.params
    backward(grid(IMAGES).sum())
    assert grid.shift.grad is not None


def test_a_state_of_other_data_brings_its_zero_point() -> None:
    """Symmetric images in [0, 1] have the zero point 0, and in [-1, 1] the one in the middle."""
    here, there = (learned(activation(0.1, zero, symmetric=True)) for zero in (0, 128))
    here.load_state_dict(there.state_dict())
    assert here.grid(torch.empty(0)) == there.grid(torch.empty(0))
    assert torch.equal(here(IMAGES), there(IMAGES))
    assert not here.covers_relu
