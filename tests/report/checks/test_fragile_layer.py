from torch import Tensor

import zeropoint as zp
from tests.nets import images
from tests.report.checks.planting import Chain, analyzed, assert_mended, chain, the_finding
from zeropoint.report.analysis.analyze import analyze


def planted() -> tuple[Chain, Tensor]:
    """Weights of 100 that meet zeros only, in the channels of the others."""
    model, x = chain(), images(32)
    model.conv1.weight.data[:, 0, 1, 1] = 100.0
    x[:, 0] = 0.0
    return model, x


def test_weights_that_fit_no_grid_stay_float() -> None:
    model, x = planted()
    assert_mended(model, zp.Recipe(), x, "fragile_layer", "conv1")


def test_it_says_what_a_float_layer_costs() -> None:
    model, x = planted()
    q = zp.quantize(model, [x], engine="reference")
    finding = the_finding(analyze(model, q, [x]), "fragile_layer", "conv1")
    assert finding.what_to_do.startswith("Keep this layer float, which has 15.8 % of the multiply")
    assert finding.applied_to(zp.Recipe()).overrides == {"conv1": None}


def test_a_layer_that_something_cheaper_helps_is_not_kept_float() -> None:
    """Two bits are no reason to leave the integers."""
    coarse = zp.TensorSpec(bits=2, symmetric=True, granularity=zp.PerChannel())
    recipe = zp.Recipe(overrides={"conv2": zp.Recipe(weights=coarse)})
    analysis = analyzed(chain(), recipe, images(32))
    assert analysis.layer("conv2").own_db < 20
    assert [finding.check for finding in analysis.findings] == ["too_few_bits"]


def test_weights_are_all_that_is_won() -> None:
    """Behind a float layer the result is put on the same grid."""
    model, x = planted()
    finding = the_finding(analyzed(model, zp.Recipe(), x), "fragile_layer", "conv1")
    after = analyzed(model, finding.applied_to(zp.Recipe()), x).layer("act1")
    assert after.kind == "fence"
    assert after.noise.weight == 0
    assert after.noise.rounding > 0
