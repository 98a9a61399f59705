import torch

from tests.observe.data import observed
from zeropoint.arithmetic.integer import INT8, UINT8
from zeropoint.observe.min_max import MinMax


def test_the_range_of_an_activation_is_its_exact_extremes() -> None:
    observation = observed(torch.tensor([0.1, 0.3, -0.7]))
    low, high = MinMax().from_observation(observation, UINT8, symmetric=False)
    assert (low, high) == (torch.tensor(-0.7).item(), torch.tensor(0.3).item())


def test_the_range_of_each_row_is_its_extremes() -> None:
    rows = torch.tensor([[1.0, -2.0], [0.0, 0.0], [3.0, 4.0]])
    low, high = MinMax().from_rows(rows, INT8, symmetric=True)
    assert low.tolist() == [-2.0, 0.0, 3.0]
    assert high.tolist() == [1.0, 0.0, 4.0]
