import pytest
import torch

from tests.observe.data import normal, observed
from zeropoint.observe import observation as module
from zeropoint.observe.histogram import NotFinite
from zeropoint.observe.observation import Observation


def test_the_extremes_of_each_batch_are_kept_in_order() -> None:
    observation = observed(torch.tensor([1.0, -2.0]), torch.tensor([3.0]), torch.tensor([0.0, 0.5]))
    assert observation.lows.tolist() == [-2.0, 3.0, 0.0]
    assert observation.highs.tolist() == [1.0, 3.0, 0.5]
    assert (observation.low, observation.high, observation.total) == (-2.0, 3.0, 5)


def test_a_batch_of_nothing_is_no_batch() -> None:
    observation = observed(torch.empty(0, 3))
    assert (observation.low, observation.high, observation.total) == (0.0, 0.0, 0)
    assert not observation.lows


def test_the_halves_merge_to_the_whole() -> None:
    batches = torch.split(normal(), 1000)
    one, whole = observed(*batches[:7]), observed(*batches)
    one.merge(observed(*batches[7:]))
    assert torch.equal(one.histogram.counts, whole.histogram.counts)
    assert (one.lows, one.highs, one.total) == (whole.lows, whole.highs, whole.total)


def test_memory_is_fixed_however_many_batches_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCHES", 3)
    observation = Observation()
    for number in range(10):
        observation.add(torch.tensor([float(number)]))
    assert observation.highs.tolist() == [7.0, 8.0, 9.0]
    observation.merge(observed(torch.tensor([5.0])))
    assert observation.highs.tolist() == [8.0, 9.0, 5.0]
    assert (observation.low, observation.total) == (0.0, 11)


def test_what_is_not_finite_is_refused_and_leaves_nothing_behind() -> None:
    observation = observed(torch.tensor([1.0]))
    with pytest.raises(NotFinite):
        observation.add(torch.tensor([2.0, torch.inf]))
    assert (observation.high, observation.total, len(observation.highs)) == (1.0, 1, 1)
