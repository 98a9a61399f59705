from torch import nn

import zeropoint as zp
from tests.nets import images
from tests.report.checks.planting import analyzed, chain, the_finding


def test_a_float_layer_between_integer_ones_is_named_with_its_reason() -> None:
    analysis = analyzed(chain(nn.Softmax(1)), zp.Recipe(), images(32))
    finding = the_finding(analysis, "island", "act1")
    assert finding.finds == (
        "it runs in float between integer layers: act1: aten.softmax.int "
        "(it compares exponentials, whose ratios 8 bits do not resolve)"
    )
    assert finding.change is None
    assert finding.applied_to(zp.Recipe()) == zp.Recipe()


def test_a_layer_kept_float_by_the_recipe_may_be_quantized() -> None:
    recipe = zp.Recipe(overrides={"conv2": None, "fc": zp.Recipe()})
    finding = the_finding(analyzed(chain(), recipe, images(32)), "island", "mean")
    assert "conv2: conv2d (kept float by the recipe)" in finding.finds
    assert finding.what_to_do == "Remove what keeps conv2 float, if the accuracy allows"
    assert finding.applied_to(recipe).overrides == {"fc": zp.Recipe()}


def test_a_layer_that_a_pattern_keeps_float_gets_an_override_of_its_own() -> None:
    recipe = zp.Recipe(overrides={"conv[2-9]": None})
    finding = the_finding(analyzed(chain(), recipe, images(32)), "island", "mean")
    changed = finding.applied_to(recipe)
    assert changed.overrides == {"conv[2-9]": None, "conv2": zp.Recipe()}
    assert "island" not in [f.check for f in analyzed(chain(), changed, images(32)).findings]


def test_float_layers_at_the_end_are_no_islands() -> None:
    analysis = analyzed(chain(), zp.Recipe(overrides={"fc": None}), images(32))
    assert not analysis.findings
