"""The stages of each unit against whole walks with all units on and off."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.nets import Islands, MobileNetLike, Residual, images, lowered, seeded
from zeropoint.capture import capture
from zeropoint.errors import CalibrationError
from zeropoint.graph.channels_last import channels_last
from zeropoint.graph.walk import walk
from zeropoint.passes import simplify
from zeropoint.report.analysis.lockstep import Lockstep
from zeropoint.report.analysis.tally import Stages, Tally
from zeropoint.simulation import Simulation, every

NETS = [Residual, MobileNetLike, Islands]


def simulation_of(model: nn.Module, x: Tensor) -> Simulation:
    graph = simplify(capture(model, (x,)))
    return Simulation(channels_last(graph), lowered(graph, x))


def ignore(*_: object) -> None:
    return None


def stages_of(
    simulation: Simulation, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Stages]:
    """The stages of each unit, in place of their sums."""
    lockstep = Lockstep(simulation)
    names = {id(tally): name for name, tally in lockstep.tallies.items()}
    found: dict[str, Stages] = {}
    monkeypatch.setattr(
        Tally, "add", lambda self, stages: found.__setitem__(names[id(self)], stages)
    )
    with torch.no_grad():
        lockstep.run([x], ignore)
    return found


@pytest.mark.parametrize("net", NETS)
def test_the_first_stage_is_the_float_walk_and_the_last_the_integer_walk(
    net: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = images(4)
    simulation = simulation_of(seeded(net()), x)
    real: dict[str, Any] = {"x": x}
    narrowed: dict[str, Any] = {}
    with torch.no_grad():
        walk(simulation.graph, [x], listener=real.__setitem__)
        kernel = simulation.kernel(every)
        walk(simulation.graph, [x], listener=narrowed.__setitem__, kernel=kernel)
    stages = stages_of(simulation, x, monkeypatch)
    assert set(stages) == {unit.value for unit in simulation.units}
    for unit in simulation.units:
        assert torch.equal(stages[unit.value].real, real[unit.value])
        if not unit.is_fence:
            assert torch.equal(stages[unit.value].narrowed, narrowed[unit.value])


@pytest.mark.parametrize("net", NETS)
def test_only_what_happens_makes_a_stage(
    net: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = images(4)
    simulation = simulation_of(seeded(net()), x)
    stages = stages_of(simulation, x, monkeypatch)
    for unit in simulation.units:
        found = stages[unit.value]
        weighted = not unit.is_fence and unit.node is not None and simulation.has_weight(unit.node)
        assert (found.weighted is not found.read) == weighted
        assert (found.narrowed is not found.biased) == (simulation.grid(unit.value) is not None)


def test_the_outputs_are_those_of_the_integer_walk() -> None:
    x = images(4)
    simulation = simulation_of(seeded(Residual()), x)
    with torch.no_grad():
        (expected,) = walk(simulation.graph, [x], kernel=simulation.kernel(every))
        (found,) = Lockstep(simulation).run([x], ignore)
    assert torch.equal(found, expected)


def test_every_activation_is_observed() -> None:
    x = images(4)
    simulation = simulation_of(seeded(Islands()), x)
    lockstep = Lockstep(simulation)
    with torch.no_grad():
        lockstep.run([x], ignore)
        lockstep.run([x], ignore)
    names = {"x", *(name for node in simulation.graph.nodes for name in node.outputs)}
    assert set(lockstep.observations) == names
    assert all(len(observation.lows) == 2 for observation in lockstep.observations.values())
    assert lockstep.observations["x"].total == 2 * x.numel()


def test_a_layer_that_overflows_is_named() -> None:
    class Exploding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fine, self.loud = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.loud(self.fine(x))
            return y

    model = seeded(Exploding())
    model.get_submodule("loud").get_parameter("weight").data.mul_(1e6)
    simulation = simulation_of(model, images(4))
    with torch.no_grad(), pytest.raises(CalibrationError) as raised:
        Lockstep(simulation).run([images(4) * 1e35], ignore)
    assert str(raised.value) == (
        "the output of loud is not finite on these images: the float model overflows "
        "there; check its weights and the normalization of the images"
    )
