import math
from dataclasses import replace

import pytest
from torch import nn

import zeropoint as zp
from zeropoint.graph.graph import Origin
from zeropoint.report.analysis.finding import Change, Edit, Finding

CONV = Origin("stem.conv", ("torch.nn.modules.conv.Conv2d",))
COARSE = zp.Recipe(activations=zp.TensorSpec(bits=4, calibrator=zp.MinMax()))


def finding(change: Change | None, gain: float | None = 2.0) -> Finding:
    return Finding("a_check", "stem.conv", "conv2d", "it is bad", "it hurts", "Mend it", change,
                   own_gain_db=3.0, output_gain_db=gain)  # fmt: skip


def test_an_edit_changes_its_fields_and_keeps_the_others() -> None:
    spec = zp.TensorSpec(bits=4, symmetric=True, calibrator=zp.MinMax())
    assert Edit(bits=8).applied_to(spec) == replace(spec, bits=8)
    edit = Edit(granularity=zp.PerChannel(), calibrator=zp.MSE())
    changed = edit.applied_to(spec)
    assert changed == replace(spec, granularity=zp.PerChannel(), calibrator=zp.MSE())
    assert str(edit) == "granularity=PerChannel(axis=0), calibrator=MSE(p=2.0)"


def test_a_change_is_an_override_that_keeps_the_rest_of_the_layers_recipe() -> None:
    change = Change("stem.conv", CONV, activations=Edit(bits=8))
    changed = finding(change).applied_to(COARSE)
    assert changed == replace(COARSE, overrides={"stem.conv": changed.overrides["stem.conv"]})
    expected = zp.Recipe(activations=zp.TensorSpec(bits=8, calibrator=zp.MinMax()))
    assert changed.overrides["stem.conv"] == expected


@pytest.mark.parametrize("key", ["stem", "stem.*", nn.Conv2d])
def test_it_starts_from_the_override_that_is_there(key: str | type[nn.Module]) -> None:
    recipe = zp.Recipe(overrides={key: COARSE})
    change = Change("stem.conv", CONV, weights=Edit(granularity=zp.PerTensor()))
    changed = change.applied_to(recipe)
    assert changed.overrides[key] == COARSE
    override = changed.for_layer(CONV)
    assert override is not None
    assert override.activations == COARSE.activations
    assert override.weights == replace(COARSE.weights, granularity=zp.PerTensor())


def test_changes_of_one_layer_add_up() -> None:
    first = Change("stem.conv", CONV, activations=Edit(bits=8))
    second = Change("stem.conv", CONV, activations=Edit(calibrator=zp.MSE()))
    changed = second.applied_to(first.applied_to(COARSE)).for_layer(CONV)
    assert changed is not None
    assert changed.activations == zp.TensorSpec(bits=8, calibrator=zp.MSE())


def test_the_inputs_change_starts_from_its_own_override_or_its_readers() -> None:
    change = Change("x", CONV, activations=Edit(calibrator=zp.MSE()))
    reader = zp.Recipe(overrides={"stem.conv": COARSE})
    override = change.applied_to(reader).overrides["x"]
    assert override is not None
    assert override.activations == zp.TensorSpec(bits=4, calibrator=zp.MSE())
    own = zp.Recipe(overrides={"x": zp.Recipe(activations=zp.TensorSpec(bits=6))})
    override = change.applied_to(own).overrides["x"]
    assert override is not None
    assert override.activations.bits == 6


def test_a_layer_is_kept_float() -> None:
    change = Change("stem.conv", CONV, keep_float=True)
    assert change.applied_to(COARSE).overrides == {"stem.conv": None}
    assert str(change) == "'stem.conv': None"


def test_what_keeps_a_layer_float_is_dropped_or_overridden() -> None:
    change = Change("stem.conv", CONV, quantize=True)
    assert str(change) == "'stem.conv': no override"
    assert change.applied_to(replace(COARSE, overrides={"stem.conv": None})) == COARSE
    changed = change.applied_to(replace(COARSE, overrides={"stem.*": None}))
    assert changed.overrides == {"stem.*": None, "stem.conv": COARSE}


def test_edits_of_a_float_layer_change_nothing() -> None:
    recipe = zp.Recipe(overrides={"stem": None})
    assert Change("stem.conv", CONV, weights=Edit(bits=4)).applied_to(recipe) == recipe


def test_what_a_recipe_cannot_mend_changes_nothing() -> None:
    assert finding(None).applied_to(COARSE) == COARSE
    assert finding(None).to_dict()["change"] == ""


def test_changes_touch_fields() -> None:
    edits = Change("x", CONV, Edit(bits=8), Edit(bits=8, symmetric=False))
    expected = {("weights", "bits"), ("activations", "bits"), ("activations", "symmetric")}
    assert edits.touches == expected
    assert Change("x", CONV, keep_float=True).touches > expected


def test_a_finding_is_three_sentences_and_a_gain() -> None:
    change = Change("stem.conv", CONV, weights=Edit(bits=8))
    assert str(finding(change)) == "stem.conv: It is bad. It hurts. Mend it (+2.0 dB)."
    assert str(finding(None, None)) == "stem.conv: It is bad. It hurts. Mend it."


def test_a_finding_is_json_data() -> None:
    change = Change("stem.conv", CONV, weights=Edit(bits=8))
    assert finding(change, math.inf).to_dict() == {
        "check": "a_check",
        "layer": "stem.conv",
        "value": "conv2d",
        "finds": "it is bad",
        "why": "it hurts",
        "what_to_do": "Mend it",
        "change": "'stem.conv': weights bits=8",
        "own_gain_db": 3.0,
        "output_gain_db": None,
    }
