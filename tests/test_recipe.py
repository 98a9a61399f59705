import re
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import nn

import zeropoint as zp
from zeropoint.arithmetic.granularity import PerChannel, PerTensor
from zeropoint.errors import RecipeError
from zeropoint.graph.graph import Origin
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE
from zeropoint.recipe import Recipe, TensorSpec, covers

NARROW = Recipe(weights=TensorSpec(bits=4, symmetric=True, granularity=PerChannel()))
COARSE = Recipe(weights=TensorSpec(symmetric=True, granularity=PerTensor()))


def layer(path: str, kind: type[nn.Module] = nn.Conv2d) -> Origin:
    types = tuple(f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__)
    return Origin(path, types)


CONV = layer("layer1.0.conv1")
FC = layer("fc", nn.Linear)


def test_the_ordinary_recipe_is_that_of_the_design() -> None:
    recipe = Recipe()
    assert recipe.weights == TensorSpec(
        bits=8, symmetric=True, granularity=PerChannel(), calibrator=MinMax()
    )
    assert recipe.activations == TensorSpec(bits=8, symmetric=False, calibrator=MSE())
    assert not recipe.overrides


def test_a_recipe_prints_as_it_is_written() -> None:
    assert eval(repr(NARROW)) == NARROW
    assert "TensorSpec(bits=4, symmetric=True" in repr(NARROW)


def test_what_a_specification_leaves_open_is_as_usual_for_its_kind() -> None:
    recipe = Recipe(weights=TensorSpec(bits=4), activations=TensorSpec(bits=6))
    assert recipe.weights == replace(Recipe().weights, bits=4)
    assert recipe.activations == replace(Recipe().activations, bits=6)
    assert Recipe(weights=TensorSpec(), activations=TensorSpec()) == Recipe()
    affine = Recipe(weights=TensorSpec(symmetric=False))
    assert affine.weights == replace(Recipe().weights, symmetric=False)
    assert eval(repr(recipe)) == recipe


@given(
    bits=st.sampled_from([None, 2, 5, 8, 8.0, np.int64(4)]),
    symmetric=st.sampled_from([None, True, False]),
    granularity=st.sampled_from([None, PerTensor(), PerTensor, "per_tensor", "PerTensor"]),
    calibrator=st.sampled_from([None, MSE(2.4), MSE, "mse", "min-max", "MinMax()", "best"]),
)
def test_every_spelling_means_a_value_that_prints_as_it_is_written(
    bits: Any, symmetric: Any, granularity: Any, calibrator: Any
) -> None:
    named = {"bits": bits, "symmetric": symmetric, "granularity": granularity}
    named = {name: value for name, value in named.items() if value is not None}
    spec = TensorSpec(**named, **({} if calibrator is None else {"calibrator": calibrator}))
    for recipe in (Recipe(weights=spec), Recipe(activations=spec), Recipe(residuals=spec)):
        assert eval(repr(recipe), vars(zp) | globals()) == recipe
        for each in (recipe.weights, recipe.activations):
            assert type(each.bits) is int
            assert isinstance(each.calibrator, Calibrator)
            assert isinstance(each.granularity, PerTensor | PerChannel)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bits": "8"}, r"bits='8' is not a width"),
        ({"bits": True}, r"bits=True is not a width"),
        ({"bits": 7.5}, r"bits=7.5 is not a width"),
        ({"bits": [8]}, r"bits=\[8\] is not a width"),
        ({"symmetric": "yes"}, "symmetric='yes'; use True or False"),
        ({"calibrator": "mze"}, r"calibrator='mze' is none that .* MSE\(\)"),
        ({"calibrator": "entropi"}, r"did you mean Entropy\(\)\?"),
        ({"calibrator": 3}, "calibrator=3 is none that"),
        ({"calibrator": nn.Linear}, "calibrator=.* is none that"),
        ({"granularity": "per_row"}, r"granularity='per_row' is none .* PerTensor\(\), PerCh"),
        ({"granularity": MSE()}, r"granularity=MSE\(p=2.0\) is none"),
    ],
)
def test_a_field_that_means_nothing_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        TensorSpec(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"activations": None}, "activations=None: zeropoint computes with integer weights and"),
        ({"weights": None}, "weights=None: zeropoint computes with"),
        ({"weights": 4}, r"weights=4 is no TensorSpec; use TensorSpec\(bits=8\)"),
        ({"residuals": "int8"}, "residuals='int8' is no TensorSpec"),
        ({"overrides": {"fc": TensorSpec(4)}}, "override 'fc' is TensorSpec.*say whether"),
        ({"overrides": {"fc": "int8"}}, "override 'fc' is 'int8'; use a Recipe, or None"),
        ({"overrides": {"fc": True}}, "override 'fc' is True; use a Recipe, or None"),
        ({"overrides": {re.compile("fc"): None}}, r"override re.compile\('fc'\) is a Pattern;"),
        ({"overrides": {int: None}}, "override <class 'int'> is a type; name layers by"),
        ({"overrides": ["fc"]}, r"overrides=\['fc'\]; use a dict"),
        ({"gptq": "no"}, "gptq='no'; use True or False"),
        ({"equalize": None}, "equalize=None; use True or False"),
    ],
)
def test_a_recipe_that_means_nothing_says_what_to_write(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe(**wrong)


@pytest.mark.parametrize("wrong", [{"bits": 4}, TensorSpec(), "int8", 8, Recipe])
def test_what_is_no_recipe_is_named(wrong: Any) -> None:
    with pytest.raises(RecipeError, match=r"recipe=.*; pass a zeropoint.Recipe"):
        zp.quantize(nn.Conv2d(3, 4, 3), [torch.rand(1, 3, 8, 8)], wrong)


def test_false_keeps_a_layer_float_as_none_does() -> None:
    assert Recipe(overrides={"fc": False}) == Recipe(overrides={"fc": None})  # type: ignore[dict-item]  # as people write it


# --- which layers an override speaks of --------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "matches"),
    [
        ("layer1.0.conv1", True),
        ("layer1.0", True),  # with all that is inside
        ("layer1", True),
        ("layer", False),  # no whole name
        ("layer1.0.conv", False),
        ("conv1", False),
        ("layer1.*", True),
        ("*.conv?", True),
        ("layer[12].*", True),
        ("layer2.*", False),
        ("LAYER1", False),
        (nn.Conv2d, True),
        (nn.modules.conv._ConvNd, True),  # a base class
        (nn.Linear, False),
    ],
)
def test_a_key_covers_a_layer_by_path_pattern_or_class(
    key: str | type[nn.Module], matches: bool
) -> None:
    assert covers(key, CONV) is matches


def test_a_layer_without_an_override_has_the_recipe_itself() -> None:
    recipe = Recipe(overrides={"fc": None})
    assert recipe.for_layer(CONV) is recipe
    assert recipe.for_layer(FC) is None


@pytest.mark.parametrize(
    "overrides",
    [
        {"layer1.0.conv1": NARROW, "layer1.*": None, nn.Conv2d: None},
        {nn.Conv2d: None, "layer1.*": None, "layer1.0.conv1": NARROW},
        {"layer1.*": NARROW, nn.Conv2d: None},
        {nn.Conv2d: None, "layer1.*": NARROW},
        {"layer1": None, "layer1.0": NARROW, "*": COARSE},
        {"layer1.0": NARROW, "layer1": None},
        {"*": None, "layer1.*": NARROW},  # the later of two patterns
        {"layer1.*": None, "*": NARROW},
        {nn.Module: None, nn.Conv2d: NARROW},  # the later of two classes
    ],
)
def test_a_path_beats_a_pattern_and_a_pattern_a_class(
    overrides: dict[str | type[nn.Module], Recipe | None],
) -> None:
    assert Recipe(overrides=overrides).for_layer(CONV) is NARROW


# --- what contradicts the model ----------------------------------------------------------------


def test_an_unknown_name_shows_the_nearest() -> None:
    recipe = Recipe(overrides={"layer1.0.konv1": None})
    with pytest.raises(RecipeError, match=r"'layer1.0.konv1' matches no layer of the model; did"):
        recipe.check_layers([CONV, FC], [CONV, FC])
    with pytest.raises(RecipeError, match=r"did you mean 'layer1.0.conv1'\?"):
        recipe.check_layers([CONV, FC], [CONV, FC])


def test_a_pattern_or_a_class_that_matches_nothing_is_unknown() -> None:
    with pytest.raises(RecipeError, match=r"override 'head.\*' matches no layer of the model"):
        Recipe(overrides={"head.*": None}).check_layers([CONV], [CONV])
    with pytest.raises(RecipeError, match=r"override Linear: the model has no layer of that class"):
        Recipe(overrides={nn.Linear: None}).check_layers([CONV], [CONV])


def test_a_model_without_named_layers_has_no_nearest() -> None:
    with pytest.raises(RecipeError, match=r"matches no layer of the model$"):
        Recipe(overrides={"conv": None}).check_layers([Origin()], [Origin()])


@pytest.mark.parametrize(("key", "spelled"), [("bn1", "'bn1'"), (nn.BatchNorm2d, "BatchNorm2d")])
def test_a_layer_that_was_folded_has_nothing_to_override(
    key: str | type[nn.Module], spelled: str
) -> None:
    norm = layer("bn1", nn.BatchNorm2d)
    with pytest.raises(RecipeError, match=rf"override {spelled} names only layers that are folded"):
        Recipe(overrides={key: None}).check_layers([CONV, norm], [CONV])


def test_a_key_may_cover_folded_layers_among_others() -> None:
    norm = layer("layer1.0.bn1", nn.BatchNorm2d)
    Recipe(overrides={"layer1": None}).check_layers([CONV, norm], [CONV])


def test_the_name_of_an_input_is_a_key_but_none_that_keeps_it_float() -> None:
    Recipe(overrides={"x": NARROW}).check_layers([CONV], [CONV], inputs=["x"])
    with pytest.raises(
        RecipeError, match=r"override 'x' is None, but 'x' is an input, which is qu"
    ):
        Recipe(overrides={"x": None}).check_layers([CONV], [CONV], inputs=["x"])
    with pytest.raises(RecipeError, match=r"'image_' matches no layer .*; did you mean 'image'\?"):
        Recipe(overrides={"image_": NARROW}).check_layers([CONV], [CONV], inputs=["image"])
    with pytest.raises(RecipeError, match=r"override 'x\*' matches no layer of the model"):
        Recipe(overrides={"x*": NARROW}).check_layers([CONV], [CONV], inputs=["x"])


def test_a_layer_with_the_name_of_an_input_may_be_kept_float() -> None:
    conv = layer("x")
    Recipe(overrides={"x": None}).check_layers([conv], [conv], inputs=["x"])


# --- what no machine can do --------------------------------------------------------------------


@pytest.mark.parametrize("bits", [0, 1, 9, 16, 32, -8])
def test_widths_beyond_eight_bits_are_refused(bits: int) -> None:
    with pytest.raises(RecipeError, match=rf"bits={bits} is not a width .*; use 2 to 8, or None"):
        TensorSpec(bits=bits)


def test_activations_have_one_scale() -> None:
    with pytest.raises(
        RecipeError, match=r"activations ask for PerChannel\(axis=0\); .* PerTensor"
    ):
        Recipe(activations=TensorSpec(granularity=PerChannel()))


def test_the_channel_of_a_weight_is_its_first_axis() -> None:
    with pytest.raises(RecipeError, match=r"weights ask for PerChannel\(axis=1\); .* axis 0"):
        Recipe(weights=TensorSpec(symmetric=True, granularity=PerChannel(axis=1)))
