import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import images
from tests.report.checks.planting import analyzed, assert_mended, at, chain, pixels, the_finding


class Exact(nn.Module):
    """(N, 1, H, W) to (N, 3, H, W): weights that integers hold, so the image is all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 1, bias=False)
        self.conv.weight.data = torch.tensor([1.0, -1.0, 1.0]).reshape(3, 1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


def test_a_clipped_image_gets_a_calibrator_that_clips_less() -> None:
    recipe = at("x", calibrator=zp.Percentile(97.0))
    assert_mended(chain(), recipe, images(32), "input_grid", "x")


def test_levels_that_a_grid_would_hold_are_found_though_a_histogram_spreads_them() -> None:
    recipe = at("x", calibrator=zp.Percentile(99.0))
    assert_mended(Exact(), recipe, pixels(), "input_grid", "x")


def test_pixels_whose_zero_is_no_level_want_another_mean() -> None:
    finding = the_finding(analyzed(Exact(), zp.Recipe(), pixels() - 0.4914), "input_grid", "x")
    assert finding.change is None
    assert "have levels a step of 0.003922 apart" in finding.finds
    assert finding.output_gain_db is not None
    assert finding.output_gain_db > 20
    shift = float(finding.what_to_do.partition("add ")[2].partition(" ")[0])
    after = analyzed(Exact(), zp.Recipe(), pixels() - 0.4914 + shift)
    assert not after.findings


def test_pixels_whose_zero_is_a_level_are_left_alone() -> None:
    assert not analyzed(Exact(), zp.Recipe(), pixels() - 125 / 255).findings


def test_without_an_effect_nothing_is_said_about_the_mean() -> None:
    x = (pixels() - 0.4914) * 4
    checks = [finding.check for finding in analyzed(chain(channels=1), zp.Recipe(), x).findings]
    assert "input_grid" not in checks
