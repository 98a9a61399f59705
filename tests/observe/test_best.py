import pytest

from tests.observe.data import REALISTIC, normal, observed
from zeropoint.arithmetic.integer import IntegerType
from zeropoint.observe.best import CALIBRATORS, Best
from zeropoint.observe.calibrator import grid_of, grid_over
from zeropoint.observe.error import mean_error, simulated_error


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("data", REALISTIC)
def test_it_has_the_least_error_of_all(data: str, bits: int, symmetric: bool) -> None:
    observation, type = observed(REALISTIC[data]), IntegerType(bits, signed=False)
    errors = [
        simulated_error(observation, grid_of(calibrator, observation, type, symmetric))
        for calibrator in (Best(), *CALIBRATORS)
    ]
    assert errors[0] == min(errors)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_so_has_each_row_of_weights(bits: int) -> None:
    rows, type = normal(3000).reshape(6, 500), IntegerType(bits, signed=True)
    best, *others = (
        mean_error(rows, grid_over(*calibrator.from_rows(rows, type, True), type, True, axis=0))
        for calibrator in (Best(), *CALIBRATORS)
    )
    for other in others:
        assert (best <= other).all()
