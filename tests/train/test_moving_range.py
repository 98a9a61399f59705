import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import backward

from tests.train.starts import activation, behind_a_relu
from zeropoint.arithmetic.qparams import simulate
from zeropoint.train.method import Start
from zeropoint.train.moving_range import MovingGrid, MovingRange

X = torch.randn(200, generator=torch.Generator().manual_seed(0))


def moving(start: Start, momentum: float = 0.9) -> MovingGrid:
    grid = MovingRange(momentum).quantizer(start)
    assert isinstance(grid, MovingGrid)
    return grid


def step(grid: MovingGrid, *data: Tensor, after_relu: bool = False) -> None:
    """What the module does after a forward pass that saw the data."""
    for x in data:
        grid(x, after_relu=after_relu)
    if grid.seen is not None:
        grid.move(grid.seen)
        grid.seen = None


def test_the_ends_are_a_moving_average_of_the_extremes() -> None:
    grid = moving(activation(0.02, 100), 0.75)
    low, high = (float(end) for end in grid.ends)
    assert (low, high) == pytest.approx((-2.0, 3.1))
    for factor in (1.0, 2.0, 0.5):
        step(grid, factor * X)
        low = 0.75 * low + 0.25 * factor * float(X.min())
        high = 0.75 * high + 0.25 * factor * float(X.max())
        assert grid.ends.tolist() == pytest.approx([low, high], rel=1e-6)


def test_the_grid_covers_the_ends() -> None:
    grid = moving(activation(0.02, 100))
    step(grid, X)
    low, high = grid.grid(torch.empty(0)).real_range
    assert low <= grid.ends[0]
    assert high >= grid.ends[1] * (1 - 1e-6)
    assert float(high - low) <= 1.01 * float(grid.ends[1] - grid.ends[0])


def test_a_step_computes_on_the_range_from_before_it() -> None:
    grid = moving(activation(0.02, 100))
    expected = simulate(X, grid.grid(torch.empty(0)))
    assert torch.equal(grid(X), expected)
    assert torch.equal(grid(X), expected)


def test_in_eval_mode_nothing_moves() -> None:
    """A range that learns from the test images is the article's first defect."""
    grid = moving(activation(0.02, 100)).eval()
    before = {name: tensor.clone() for name, tensor in grid.state_dict().items()}
    step(grid, 100 * X)
    assert grid.seen is None
    assert all(torch.equal(before[name], t) for name, t in grid.state_dict().items())


def test_a_frozen_range_moves_no_more() -> None:
    grid = moving(activation(0.02, 100))
    grid.moves = False
    step(grid, 100 * X)
    assert grid.seen is None
    assert grid.grid(torch.empty(0)) == activation(0.02, 100).params


def test_values_that_share_a_grid_move_it_by_what_they_hold_together() -> None:
    together, apart = moving(activation(0.02, 100)), moving(activation(0.02, 100))
    step(together, X.clamp(min=0), X.clamp(max=0.5))
    step(apart, X)
    assert torch.equal(together.ends, apart.ends)


@given(st.lists(st.floats(-100.0, 100.0), min_size=1, max_size=5), st.booleans())
def test_zero_is_always_in_the_range_and_exact(numbers: list[float], symmetric: bool) -> None:
    grid = moving(activation(0.02, 128, symmetric=symmetric), 0.01)
    for number in numbers:
        step(grid, torch.full((3,), number))
    assert grid.ends[0] <= 0 <= grid.ends[1]
    assert grid(torch.zeros(2)).tolist() == [0.0, 0.0]


def test_behind_a_relu_only_the_upper_end_moves() -> None:
    grid = moving(behind_a_relu(0.01))
    step(grid, X, after_relu=True)
    assert grid.ends[0] == 0
    assert grid.ends[1] == pytest.approx(0.9 * 2.55 + 0.1 * float(X.max()))
    assert grid.covers_relu
    x = X.clone()
    assert torch.equal(grid(x, after_relu=True), simulate(x.relu(), grid.grid(torch.empty(0))))


def test_data_that_are_one_sided_no_more_move_the_zero_point() -> None:
    """Where training augments the images to negative numbers, the grid goes along."""
    grid = moving(behind_a_relu(0.01), 0.5)
    step(grid, X)
    assert int(grid.zero_point) > 0
    assert not grid.covers_relu
    grid.eval()
    assert torch.equal(grid(X), simulate(X, grid.grid(torch.empty(0))))
    assert grid(X).min() < 0


def test_symmetric_data_that_are_one_sided_no_more_move_it_to_the_middle() -> None:
    grid = moving(activation(0.01, 0, symmetric=True, one_sided=True), 0.5)
    step(grid, X)
    assert int(grid.zero_point) == 128
    grid.eval()
    assert torch.equal(grid(X), simulate(X, grid.grid(torch.empty(0))))


def test_a_state_brings_the_grid_and_goes_on_to_the_bit() -> None:
    here, there = moving(behind_a_relu(0.01)), moving(activation(0.02, 100))
    step(there, X)
    here.load_state_dict(there.state_dict())
    assert not here.covers_relu
    for grid in (here, there):
        step(grid, 2 * X)
    assert here.grid(torch.empty(0)) == there.grid(torch.empty(0))
    assert torch.equal(here(X), there(X))


def test_other_bits_cover_what_the_new_plan_says() -> None:
    grid = moving(activation(0.02, 100))
    step(grid, 5 * X)
    later = activation(0.5, 3, bits=4)
    grid.begin(later)
    assert grid.grid(torch.empty(0)) == later.params
    assert grid.ends.tolist() == [-1.5, 6.0]


def test_a_grid_that_moves_between_forward_and_backward_does_not_disturb_the_gradient() -> None:
    grid = moving(activation(0.02, 100))
    x = X.clone().requires_grad_()
    y = grid(x)
    assert grid.seen is not None
    grid.move(100 * grid.seen)
    backward(y.sum())
    assert x.grad is not None
    assert torch.equal(x.grad, ((x > -2.01) & (x < 3.11)).to(x))
