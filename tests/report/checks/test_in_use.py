"""Of every check: what the recipe asks for already is not proposed again, fresh or loaded."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import images
from tests.report.checks import test_fragile_layer, test_outlier_channel, test_unused_codes
from tests.report.checks.planting import at, chain, with_outlier
from zeropoint.model import QuantizedModel
from zeropoint.report.checks import CHECKS, LAST_RESORTS
from zeropoint.report.checks.dead_channels import dead_channels


@dataclass(frozen=True)
class Fault:
    """A network and a recipe in which a check finds a layer."""

    model: nn.Module
    recipe: zp.Recipe
    x: Tensor
    layer: str


def _fragile() -> Fault:
    model, x = test_fragile_layer.planted()
    return Fault(model, zp.Recipe(), x, "conv1")


FAULTS = {
    "input_grid": lambda: Fault(chain(), at("x", calibrator=zp.Percentile(97.0)), images(32), "x"),
    "outlier_channel": lambda: Fault(
        test_outlier_channel.planted(), test_outlier_channel.PER_TENSOR, images(32), "conv2"
    ),
    "clipped_activation": lambda: Fault(
        chain(), at("conv2", calibrator=zp.Percentile(97.0)), images(32), "conv2"
    ),
    "unused_codes": lambda: Fault(
        test_unused_codes.pointwise(),
        at("conv1", bits=4, calibrator=zp.MinMax()),
        with_outlier(images(32, size=16), 12.0),
        "conv1",
    ),
    "lopsided_data": lambda: Fault(
        chain(nn.SiLU()), at("conv1", bits=5, symmetric=True), images(32), "conv1"
    ),
    "too_few_bits": lambda: Fault(
        chain(),
        zp.Recipe(overrides={"conv2": zp.Recipe(weights=zp.TensorSpec(bits=4))}),
        images(32),
        "conv2",
    ),
    "island": lambda: Fault(chain(), zp.Recipe(overrides={"conv2": None}), images(32), "mean"),
    "fragile_layer": _fragile,
}
"""What proposes nothing needs none."""


def both(q: QuantizedModel, path: Path) -> Iterator[QuantizedModel]:
    """A quantized model as it was made, and as it is loaded."""
    yield q
    q.save(path / "q.safetensors")
    yield zp.load(path / "q.safetensors", engine="reference")


def test_every_check_that_proposes_a_change_has_a_fault_here() -> None:
    proposing = {check.__name__ for check in (*CHECKS, *LAST_RESORTS) if check != dead_channels}
    assert set(FAULTS) == proposing


@pytest.mark.parametrize("check", FAULTS)
def test_what_was_mended_is_not_proposed_again(check: str, tmp_path: Path) -> None:
    """Analyzed on other images, whose ranges are others: any grid looks worth a change."""
    fault = FAULTS[check]()
    q = zp.quantize(fault.model, [fault.x], fault.recipe, engine="reference")
    (found,) = [
        f
        for f in zp.analyze(fault.model, q, [fault.x]).findings
        if (f.check, f.layer) == (check, fault.layer)
    ]
    assert found.change is not None
    mended = found.applied_to(fault.recipe)
    q = zp.quantize(fault.model, [0.3 * fault.x], mended, engine="reference")
    for each in both(q, tmp_path):
        for finding in zp.analyze(fault.model, each, [fault.x]).findings:
            assert (finding.value, str(finding.change)) != (found.value, str(found.change))
            again = finding.applied_to(mended)
            assert finding.change is None or again != mended


def test_an_affine_grid_with_its_zero_in_the_middle_is_not_to_be_affine() -> None:
    """The data of the calibration were even, those of the analysis have a short side."""
    model = chain(nn.SiLU())
    x = torch.cat([images(32), -images(32)])
    recipe = zp.Recipe(
        overrides={"x": zp.Recipe(activations=zp.TensorSpec(4, calibrator=zp.MinMax()))}
    )
    q = zp.quantize(model, [x], recipe, engine="reference")
    grid = q.plan.params("x")
    assert grid is not None
    assert abs(int(grid.zero_point) - 8) <= 1
    for finding in zp.analyze(model, q, [images(32).abs() - 0.1]).findings:
        assert finding.check != "lopsided_data"
