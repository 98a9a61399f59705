import pytest
from torch import nn

from tests.nets import images
from tests.report.checks.planting import analyzed, assert_mended, at, chain


@pytest.mark.parametrize("act", [nn.SiLU(), nn.LeakyReLU(0.01)], ids=["silu", "leaky"])
def test_a_short_negative_side_gets_an_affine_grid(act: nn.Module) -> None:
    recipe = at("conv1", bits=5, symmetric=True)  # which applies the function
    assert_mended(chain(act), recipe, images(32), "lopsided_data", "conv1")


def test_one_sided_data_waste_nothing_on_a_symmetric_grid() -> None:
    analysis = analyzed(chain(), at("conv1", bits=5, symmetric=True), images(32))
    assert "lopsided_data" not in [finding.check for finding in analysis.findings]
