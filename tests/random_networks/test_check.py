"""Some random networks on each engine; `python -m tests.random_networks` tries many."""

from collections.abc import Sequence

import pytest
import torch

from tests.random_networks.__main__ import examine
from tests.random_networks.check import faults, usable
from tests.random_networks.network import draw
from zeropoint.execute.onednn import OneDnn

COUNT = 60


@pytest.mark.parametrize("place", range(len(usable())), ids=usable())
def test_no_call_differs_from_the_reference_and_none_kills_the_process(place: int) -> None:
    names = usable()
    seeds = range(place, COUNT, len(names))
    told = {seed: faults for seed, faults in examine(seeds, [names[place]]) if faults}
    assert not told, "\n".join(f"{draw(seed).source}\n{told[seed]}" for seed in told)


def test_a_seed_is_a_network() -> None:
    assert draw(7) == draw(7)
    assert draw(7).source != draw(8).source


def test_what_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    if "onednn" not in usable():
        pytest.skip("the onednn engine is not usable")
    network = draw(20)
    assert faults(network, ["onednn"]) == []
    right = OneDnn.run

    def shifted(self: OneDnn, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return tuple(y + 1 for y in right(self, inputs))

    monkeypatch.setattr(OneDnn, "run", shifted)
    assert "steps off" in faults(network, ["onednn"])[0]
