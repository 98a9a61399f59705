import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import zeropoint as zp
from zeropoint.graph.graph import Origin
from zeropoint.observe.best import CALIBRATORS
from zeropoint.report.checks.written_recipe import read_recipe

CALIBRATORS_DRAWN = st.sampled_from([*CALIBRATORS, zp.Best(), zp.MSE(3.0), zp.Percentile(97.5)])
ACTIVATIONS = st.builds(
    zp.TensorSpec, st.integers(2, 8), st.booleans(), st.just(zp.PerTensor()), CALIBRATORS_DRAWN
)
WEIGHTS = st.builds(
    zp.TensorSpec,
    st.integers(2, 8),
    st.booleans(),
    st.sampled_from([zp.PerTensor(), zp.PerChannel()]),
    CALIBRATORS_DRAWN,
)
PLAIN = st.builds(zp.Recipe, WEIGHTS, ACTIVATIONS, st.none() | ACTIVATIONS)
KEYS = st.sampled_from(["conv1", "conv[12]", 'it\'s "quoted"', "", "[red]"])
RECIPES = st.builds(
    zp.Recipe,
    WEIGHTS,
    ACTIVATIONS,
    st.none() | ACTIVATIONS,
    st.dictionaries(KEYS, st.none() | PLAIN, max_size=3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@given(RECIPES)
def test_a_recipe_is_read_back_from_its_text(recipe: zp.Recipe) -> None:
    assert read_recipe(repr(recipe)) == recipe


def test_a_class_of_layers_still_covers_its_layers() -> None:
    found = read_recipe(repr(zp.Recipe(overrides={nn.Linear: None})))
    assert found is not None
    assert found.for_layer(Origin("fc", ("torch.nn.modules.linear.Linear",))) is None
    assert found.for_layer(Origin("conv", ("torch.nn.modules.conv.Conv2d",))) is found


def test_a_calibrator_of_somebody_else_is_known_by_its_text() -> None:
    text = repr(zp.Recipe()).replace("MSE(p=2.0)", "Mine(share=0.5)")
    found = read_recipe(text)
    assert found is not None
    assert repr(found.activations.calibrator) == "Mine(share=0.5)"
    assert found.activations.calibrator != zp.MSE()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense (",
        "MSE(p=2.0)",
        "Recipe(weights=3)",
        "Recipe(bits=[])",
        "Recipe(weights=TensorSpec(bits=99))",
        "Recipe(weights=__import__('os').system('true'))",
        "Recipe(overrides={[]: None})",
        "_class()",
        "Recipe(overrides={**{}})",
        "-" * 100_000 + "1",
        "(" * 100_000,
    ],
)
def test_a_text_that_is_no_recipe_says_nothing(text: str) -> None:
    assert read_recipe(text) is None
