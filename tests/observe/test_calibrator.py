import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams
from zeropoint.observe.calibrator import Calibrator, grid_over, scalar
from zeropoint.observe.histogram import Histogram
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE

CALIBRATORS = [MinMax(), MSE(), MSE(p=2.4)]

DATA = {
    "zeros": torch.zeros(10),
    "one zero": torch.zeros(1),
    "a constant": torch.full((10,), 3.0),
    "a negative constant": torch.full((10,), -3.0),
    "one element": torch.tensor([0.1]),
    "far from zero": torch.tensor([1000.0, 1000.001]),
    "huge": torch.tensor([-3e38, 3e38, 1.0]),
    "huge and one-sided": torch.tensor([0.0, 3e38, 1.0]),
    "tiny": torch.tensor([1e-40, -1e-42]),
    "of all sizes": torch.tensor([1e-38, 1e-20, 1.0, 1e20, 3e38]),
    "nothing": torch.empty(0),
}


def assert_usable(params: QParams, *, one_sided: bool) -> None:
    """A finite positive scale, and zero on the grid exactly."""
    assert torch.isfinite(params.scale).all()
    assert (params.scale > 0).all()
    assert (params.zero_point >= params.type.low).all()
    assert (params.zero_point <= params.type.high).all()
    low, high = params.real_range
    assert (low <= 0).all()
    assert (high >= 0).all()
    if one_sided:
        assert low.item() == 0


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=repr)
@pytest.mark.parametrize("data", DATA)
def test_any_data_give_a_usable_grid(data: str, calibrator: Calibrator, symmetric: bool) -> None:
    histogram = Histogram()
    histogram.add(DATA[data])
    low, high = calibrator.from_histogram(histogram, UINT8, symmetric)
    assert DATA[data].numel() == 0 or (math.isfinite(low) and math.isfinite(high))
    grid = grid_over(scalar(low), scalar(high), UINT8, symmetric)
    assert_usable(grid, one_sided=bool(DATA[data].numel() and DATA[data].min() >= 0))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=repr)
def test_any_weights_give_usable_grids(calibrator: Calibrator, symmetric: bool) -> None:
    rows = torch.stack([data[:1].repeat(4) for data in DATA.values() if data.numel()])
    rows[:, 0] = 0.0
    low, high = calibrator.from_rows(rows, INT8, symmetric)
    assert torch.isfinite(low).all()
    assert torch.isfinite(high).all()
    assert_usable(grid_over(low, high, INT8, symmetric, axis=0), one_sided=False)


@given(
    st.floats(-1e30, 1e30), st.floats(-1e30, 1e30), st.integers(2, 8), st.booleans(), st.booleans()
)
def test_a_grid_covers_its_range_to_half_a_step(
    one: float, other: float, bits: int, signed: bool, symmetric: bool
) -> None:
    low, high = sorted((one, other))
    params = grid_over(scalar(low), scalar(high), IntegerType(bits, signed), symmetric)
    assert_usable(params, one_sided=False)
    if max(-low, high) < 1e-15:
        return  # nothing but zero
    slack = params.scale.item() * 0.501
    lowest, highest = (bound.item() for bound in params.real_range)
    assert lowest <= low + slack
    assert highest >= high - slack
