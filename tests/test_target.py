import pytest

from zeropoint.execute.engines import engines
from zeropoint.recipe import TensorSpec
from zeropoint.target import ONEDNN, REFERENCE, TARGETS, Target


def test_every_engine_has_a_target() -> None:
    assert {engine.name for engine in engines()} == TARGETS.keys()


@pytest.mark.parametrize("bits", range(2, 9))
def test_every_engine_runs_every_width(bits: int) -> None:
    spec = TensorSpec(bits=bits, symmetric=True)
    for target in TARGETS.values():
        assert target.refusal_of_weights(spec) is None
        assert target.refusal_of_activations(spec) is None


def test_only_the_reference_runs_asymmetric_weights() -> None:
    assert ONEDNN.refusal_of_weights(TensorSpec()) == "asymmetric weights"
    assert REFERENCE.refusal_of_weights(TensorSpec()) is None
    assert ONEDNN.refusal_of_activations(TensorSpec()) is None


def test_engines_that_cannot_add_before_they_round_cannot_bend_either() -> None:
    assert {name: target.fuses_functions for name, target in TARGETS.items()} == {
        name: target.fuses_additions for name, target in TARGETS.items()
    }
    assert not TARGETS["onnxruntime"].fuses_functions


def test_a_width_that_a_machine_lacks_is_named() -> None:
    wide = Target("wide", bits=range(8, 9))
    assert wide.refusal_of_weights(TensorSpec(bits=4, symmetric=True)) == "4-bit weights"
    assert wide.refusal_of_activations(TensorSpec(bits=4)) == "4-bit activations"
