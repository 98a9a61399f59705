"""Observations of several processes as one, here of one after the other in one process."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from zeropoint.observe import merging
from zeropoint.observe.histogram import Histogram
from zeropoint.observe.observation import Observation


def observed(*batches: Tensor) -> Observation:
    observation = Observation()
    for batch in batches:
        observation.add(batch)
    return observation


def equal(found: Histogram, expected: Histogram) -> bool:
    numbers = [(h.low, h.high, h.exponent, h.first, h.zeros) for h in (found, expected)]
    return numbers[0] == numbers[1] and torch.equal(found.counts, expected.counts)


BATCHES = [torch.randn(4, 50, generator=torch.Generator().manual_seed(i)) * i for i in range(5)]


def merged_over(
    monkeypatch: pytest.MonkeyPatch, *observations: Observation
) -> dict[str, Observation]:
    """What each process would get: `gathered` hands out what all of them would send."""
    sent: list[list[Tensor]] = []

    def record(x: Tensor) -> list[Tensor]:
        sent[-1].append(x)
        return [x]

    monkeypatch.setattr(merging, "processes", lambda: len(observations))
    monkeypatch.setattr(merging, "gathered", record)
    for observation in observations:
        sent.append([])
        merging.merged({"x": observation})
    parts: Iterator[list[Tensor]] = map(list, zip(*sent, strict=True))
    monkeypatch.setattr(merging, "gathered", lambda x: next(parts))
    return merging.merged({"x": observations[0]})


def test_two_halves_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    found = merged_over(monkeypatch, observed(*BATCHES[:3]), observed(*BATCHES[3:]))["x"]
    expected = observed(*BATCHES)
    assert equal(found.histogram, expected.histogram)
    assert found.lows == expected.lows
    assert found.highs == expected.highs


def test_in_another_order_only_the_order_of_the_batches_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = merged_over(monkeypatch, observed(*BATCHES[::2]), observed(*BATCHES[1::2]))["x"]
    expected = observed(*BATCHES)
    assert equal(found.histogram, expected.histogram)
    assert sorted(found.lows) == sorted(expected.lows)
    assert found.lows != expected.lows


def test_a_process_that_saw_nothing_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for parts in ((observed(), observed(*BATCHES)), (observed(*BATCHES), observed())):
        found = merged_over(monkeypatch, *parts)["x"]
        assert equal(found.histogram, observed(*BATCHES).histogram)
        assert found.lows == observed(*BATCHES).lows


def test_one_process_has_what_it_has() -> None:
    observation = observed(*BATCHES)
    assert merging.merged({"x": observation})["x"] is observation
