from typing import Any

import torch
from torch import nn

from tests.nets import Residual
from tests.train.training import prepared, recipe, settled
from zeropoint.recipe import Recipe
from zeropoint.train import CurrentRange, Folded, MovingRange
from zeropoint.train.checkpoint import differences
from zeropoint.train.module import QuantizationAware


def residual(bits: int = 8, **options: Any) -> QuantizationAware:
    return prepared(settled(Residual()), recipe(bits, **options))


def test_a_state_of_the_same_recipe_has_no_differences() -> None:
    assert differences(residual(), residual().state_dict()) == []


def test_other_bits_are_listed_by_value_and_cut_off_after_five() -> None:
    found = differences(residual(), residual(4).state_dict())
    assert len(found) == 6
    assert found[0] == (
        "block1.conv1.weight' is symmetric i4 that keeps change, initial, initial_zero_point, "
        "pace there, symmetric i8 that keeps change, initial, initial_zero_point, pace here"
    )
    assert found[-1] == "and 10 more"


def test_another_symmetry_is_a_difference() -> None:
    model = settled(Residual())
    here, there = (
        prepared(model, recipe(symmetric=symmetric), activations=MovingRange())
        for symmetric in (True, False)
    )
    found = differences(here, there.state_dict())
    assert found[-2] == (
        "block2.relu:2 is asymmetric u8 that keeps ends, scale, zero_point there, "
        "symmetric u8 that keeps ends, scale, zero_point here"
    )


def test_another_method_is_a_difference() -> None:
    there = prepared(settled(Residual()), recipe(), weights=CurrentRange())
    found = differences(residual(), there.state_dict())
    assert found[0] == (
        "block1.conv1.weight' is symmetric i8 that keeps nothing there, "
        "symmetric i8 that keeps change, initial, initial_zero_point, pace here"
    )


def test_grids_of_other_values_are_differences() -> None:
    model = settled(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1)))
    whole = prepared(model)
    part = prepared(model, Recipe(overrides={"2": None}))
    assert sorted(differences(whole, part.state_dict())) == [
        "1 has a grid only here",
        "2.weight has a grid only here",
    ]
    assert sorted(differences(part, whole.state_dict())) == [
        "1 has a grid only there",
        "2.weight has a grid only there",
    ]


def test_one_scale_for_the_whole_weight_is_a_difference_even_if_names_do_not_matter() -> None:
    model = settled(nn.Sequential(nn.Flatten(), nn.Linear(192, 5)))
    there = prepared(model, recipe(per_tensor=True)).state_dict()
    here = prepared(model, recipe())
    for strict in (True, False):
        found = differences(here, there, strict=strict)
        assert "'fake_quantizers.1/weight.change' is () there, (5,) here" in found


def test_another_way_through_batch_norm_is_a_difference_of_tensors() -> None:
    there = prepared(settled(Residual()), recipe(), batch_norm=Folded()).state_dict()
    found = differences(residual(), there)
    assert "'block1.bn1.bias' is only here" in found
    assert differences(residual(), there, strict=False) == []


def test_a_state_of_the_float_model_has_no_grids() -> None:
    assert differences(residual(), settled(Residual()).state_dict()) == [
        "it holds no grids, so it is of a model that was not prepared"
    ]


def test_extra_state_of_the_users_layers_is_not_compared() -> None:
    class Remembers(nn.Conv2d):
        def get_extra_state(self) -> str:
            return "as it was"

        def set_extra_state(self, state: str) -> None:
            assert state == "as it was"

    qat = prepared(settled(nn.Sequential(Remembers(3, 4, 1))))
    state = qat.state_dict()
    assert state["0._extra_state"] == "as it was"
    assert differences(qat, state) == []
    assert qat.load_state_dict(state).missing_keys == []
    assert torch.equal(qat.get_parameter("0.weight"), state["0.weight"])
