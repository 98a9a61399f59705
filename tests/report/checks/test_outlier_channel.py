import zeropoint as zp
from tests.nets import images
from tests.report.checks.planting import Chain, analyzed, assert_mended, chain, the_finding

PER_TENSOR = zp.Recipe(weights=zp.TensorSpec(granularity=zp.PerTensor(), calibrator=zp.MinMax()))


def planted() -> Chain:
    """One channel 40 times as large as the others, and the next layer that expects it so."""
    model = chain()
    model.conv2.weight.data[3] *= 40
    model.fc.weight.data[:, 3] /= 40
    return model


def test_a_large_channel_under_one_scale_gets_a_scale_of_its_own() -> None:
    assert_mended(planted(), PER_TENSOR, images(32), "outlier_channel", "conv2")


def test_it_names_the_channel() -> None:
    finding = the_finding(analyzed(planted(), PER_TENSOR, images(32)), "outlier_channel", "conv2")
    assert finding.finds.startswith("all 16 channels of the weight share one scale, and channel 3")


def test_with_a_scale_for_each_channel_there_is_nothing_to_find() -> None:
    analysis = analyzed(planted(), zp.Recipe(), images(32))
    assert "outlier_channel" not in [finding.check for finding in analysis.findings]
