from torch import Tensor

import zeropoint as zp
from tests.nets import images
from tests.report.checks.planting import Chain, analyzed, chain, the_finding


def biases(model: Chain) -> Tensor:
    bias = model.conv2.bias
    assert bias is not None
    return bias.data


def test_channels_that_are_zero_on_all_images_are_counted() -> None:
    model = chain()
    biases(model)[:5] = -100.0
    analysis = analyzed(model, zp.Recipe(), images(32))
    assert analysis.layer("conv2").channels.dead == (0, 1, 2, 3, 4)
    finding = the_finding(analysis, "dead_channels", "conv2")
    assert finding.finds == "5 of 16 channels are zero on all images"
    assert finding.change is None
    assert finding.output_gain_db is None


def test_a_single_dead_channel_is_no_finding() -> None:
    model = chain()
    biases(model)[0] = -100.0
    assert not analyzed(model, zp.Recipe(), images(32)).findings
