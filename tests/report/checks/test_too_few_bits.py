import zeropoint as zp
from tests.nets import images
from tests.report.checks.planting import analyzed, assert_mended, at, chain, the_finding

FOUR_BITS = zp.TensorSpec(bits=4, symmetric=True, granularity=zp.PerChannel())


def test_a_layer_of_four_bits_gets_eight() -> None:
    override = zp.Recipe(weights=FOUR_BITS, activations=zp.TensorSpec(bits=4))
    recipe = zp.Recipe(overrides={"conv2": override})
    assert_mended(chain(), recipe, images(32), "too_few_bits", "conv2")


def test_only_what_has_few_bits_gets_more() -> None:
    recipe = at("conv1", bits=5, calibrator=zp.MinMax())
    finding = the_finding(analyzed(chain(), recipe, images(32)), "too_few_bits", "conv1")
    assert finding.finds == "it has 5-bit activations"
    assert str(finding.change) == "'conv1': activations bits=8"
    changed = finding.applied_to(recipe).overrides["conv1"]
    assert changed == zp.Recipe(activations=zp.TensorSpec(bits=8, calibrator=zp.MinMax()))


def test_weights_of_four_bits_get_eight() -> None:
    recipe = zp.Recipe(overrides={"conv2": zp.Recipe(weights=FOUR_BITS)})
    assert_mended(chain(), recipe, images(32), "too_few_bits", "conv2")
