import zeropoint as zp
from tests.nets import images
from tests.report.checks.planting import analyzed, assert_mended, at, chain, the_finding

CLIPPED = at("conv2", calibrator=zp.Percentile(97.0))


def test_clipped_results_get_a_calibrator_that_clips_less() -> None:
    assert_mended(chain(), CLIPPED, images(32), "clipped_activation", "conv2")


def test_it_says_how_much_is_clipped_and_what_is_proposed() -> None:
    finding = the_finding(analyzed(chain(), CLIPPED, images(32)), "clipped_activation", "conv2")
    assert finding.finds.startswith("3 % of the results are clipped to [0, ")
    assert str(finding.change) == "'conv2': activations calibrator=MSE(p=2.0)"
