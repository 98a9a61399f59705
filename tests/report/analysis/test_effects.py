"""What goes on from the middle of two walks against the definition: a whole walk each."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.nets import Islands, MobileNetLike, Residual, images, lowered, seeded
from zeropoint.capture import capture
from zeropoint.graph.channels_last import channels_last
from zeropoint.graph.walk import walk
from zeropoint.passes import simplify
from zeropoint.report.analysis.effects import OutputError
from zeropoint.report.analysis.survey import Survey
from zeropoint.simulation import Simulation


@pytest.mark.parametrize("net", [Residual, MobileNetLike, Islands])
def test_an_effect_is_what_whole_walks_with_and_without_the_unit_give(
    net: Callable[[], nn.Module],
) -> None:
    x = images(12)
    graph = simplify(capture(seeded(net()), (x,)))
    program = lowered(graph, x)
    simulation = Simulation(channels_last(graph), program)
    survey = Survey(graph, program)
    survey.add((x,))
    analysis = survey.analysis()
    assert len(analysis.layers) == len(simulation.units)
    for unit, layer in zip(simulation.units, analysis.layers, strict=True):
        assert layer.effect is not None
        alone, without = OutputError(), OutputError()
        with torch.no_grad():
            expected = walk(simulation.graph, [x])
            on, off = (simulation.kernel(f) for f in (unit.value.__eq__, unit.value.__ne__))
            alone.add(expected, walk(simulation.graph, [x], kernel=on))
            without.add(expected, walk(simulation.graph, [x], kernel=off))
        assert layer.effect.alone_db == pytest.approx(alone.sqnr_db, abs=0.05)
        assert layer.effect.without_db == pytest.approx(without.sqnr_db, abs=0.05)
        assert layer.effect.alone_agreement == alone.agreement
        assert layer.effect.without_agreement == without.agreement


def test_outputs_that_are_no_scores_have_no_agreement() -> None:
    error = OutputError()
    error.add([torch.zeros(2, 3, 4, 4)], [torch.zeros(2, 3, 4, 4)])
    assert error.agreement is None
    assert OutputError().agreement is None


def test_decisions_are_counted_over_batches() -> None:
    error = OutputError()
    real = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    error.add([real], [torch.tensor([[0.0, 2.0], [0.0, 1.0]])])
    error.add([real[:1]], [real[:1]])
    assert error.agreement == pytest.approx(2 / 3)
    assert (error.signal, error.noise) == (3.0, 3.0)


def test_indices_among_the_outputs_have_no_error() -> None:
    error = OutputError()
    real = torch.ones(1, 2)
    error.add([real, torch.tensor([3])], [real, torch.tensor([4])])
    assert error.noise == 0
