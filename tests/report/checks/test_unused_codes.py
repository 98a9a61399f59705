import torch

import zeropoint as zp
from tests.nets import images
from tests.report.checks.planting import Chain, assert_mended, at, chain, with_outlier


def pointwise() -> Chain:
    """A first convolution that spreads an outlier over no neighbour."""
    model = chain()
    centre = model.conv1.weight.data[:, :, 1, 1].clone()
    model.conv1.weight.data = torch.zeros_like(model.conv1.weight)
    model.conv1.weight.data[:, :, 1, 1] = 3 * centre
    return model


def test_a_range_that_only_an_outlier_needs_is_narrowed() -> None:
    x = with_outlier(images(32, size=16), 12.0)
    recipe = at("conv1", bits=4, calibrator=zp.MinMax())
    assert_mended(pointwise(), recipe, x, "unused_codes", "conv1")
