import math

import pytest
import torch

import zeropoint as zp
from tests.nets import images, lowered
from tests.report.checks.planting import captured, chain
from zeropoint.report.analysis.survey import Survey
from zeropoint.report.checks.case import make_case
from zeropoint.report.checks.evidence import Evidence, OutputNoise, decibels, levels


def evidence_of(layer: str, outputs: OutputNoise | None = None) -> Evidence:
    """A layer under per-tensor weights."""
    graph, x = captured(chain()), images(8)
    recipe = zp.Recipe(weights=zp.TensorSpec(granularity=zp.PerTensor(), calibrator=zp.MinMax()))
    survey = Survey(graph, lowered(graph, x, recipe=recipe), ranking=False)
    survey.add((x,))
    layers = survey.analysis().layers
    values = {unit.layer: unit.value for unit in layers}
    noises = {values[layer]: outputs} if outputs else {}
    case = make_case(survey.simulation, layers, survey.tallies, noises)
    found = case.unit(values[layer])
    assert found is not None
    return found


def test_decibels_of_nothing() -> None:
    assert decibels(10.0, 1.0) == pytest.approx(10.0)
    assert decibels(0.0, 0.0) == 0.0
    assert decibels(1.0, 0.0) == math.inf
    assert decibels(0.0, 1.0) == -math.inf


def test_outputs_lose_in_proportion_between_what_was_measured() -> None:
    noise = OutputNoise(all=8.0, without=2.0)
    assert noise.gain_db(1.0) == 0.0
    assert noise.gain_db(0.0) == pytest.approx(decibels(8, 2))
    assert noise.gain_db(0.5) == pytest.approx(decibels(8, 5))


def test_what_is_left_is_in_proportion_to_the_parts() -> None:
    evidence = evidence_of("conv1")
    tally = evidence.tally
    narrowed = tally.clipping + tally.rounding
    assert evidence.left() == 1.0
    assert evidence.left(weight=0.0, bias=0.0, narrowing=0.0) == 0.0
    assert evidence.left(weight=0.0, bias=0.0) == pytest.approx(narrowed / tally.parts)


def test_the_same_grid_leaves_all_of_the_error() -> None:
    evidence = evidence_of("conv1")
    assert evidence.grid is not None
    assert evidence.narrowing_left(evidence.grid) == 1.0
    assert evidence.weight_left(zp.PerTensor(), 8) == pytest.approx(1.0, rel=1e-3)


def test_a_bit_less_is_four_times_the_error() -> None:
    assert evidence_of("conv2").weight_left(zp.PerTensor(), 7) == pytest.approx(4.0, rel=0.2)


@pytest.mark.parametrize(
    ("outputs", "left", "is_worth"),
    [
        (OutputNoise(2.0, 1.0), 0.5, True),
        (OutputNoise(2.0, 1.9999), 0.6, False),
        (OutputNoise(2.0, 1.9999), 0.01, True),
        (OutputNoise(2.0, 2.1), 0.01, False),
        (OutputNoise(2.0, 1.0), 0.9, False),
        (None, 0.6, False),
        (None, 0.4, True),
    ],
    ids=[
        "gains",
        "little at the output",
        "hidden at the output",
        "a loss",
        "nothing in the layer",
        "2 dB unmeasured",
        "4 dB",
    ],
)
def test_what_is_worth_a_word(outputs: OutputNoise | None, left: float, is_worth: bool) -> None:
    assert evidence_of("conv1", outputs).is_worth(left) is is_worth


def test_levels_are_the_different_numbers_in_order() -> None:
    assert levels(torch.tensor([3.0, 1.0, 3.0])).tolist() == [1.0, 3.0]
