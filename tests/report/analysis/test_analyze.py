import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import Islands, Residual, images, seeded
from tests.report.checks.planting import chain
from zeropoint.errors import CalibrationError, ProgramError
from zeropoint.model import QuantizedModel
from zeropoint.report.analysis.analysis import Analysis
from zeropoint.report.analysis.analyze import analyze

LABELS = torch.zeros(40, dtype=torch.int64)


@pytest.fixture(scope="module")
def residual() -> tuple[nn.Module, QuantizedModel]:
    model = seeded(Residual())
    return model, zp.quantize(model, [images(40)], engine="reference")


@pytest.fixture(scope="module")
def analysis(residual: tuple[nn.Module, QuantizedModel]) -> Analysis:
    return analyze(*residual, [(images(40), LABELS)])


def test_the_output_is_the_programs(
    residual: tuple[nn.Module, QuantizedModel], analysis: Analysis
) -> None:
    card = zp.compare(*residual, [images(40)], latency=False)
    assert analysis.samples == 40
    assert analysis.output_sqnr_db == pytest.approx(card.sqnr_db, abs=0.3)
    assert analysis.agreement == pytest.approx(card.agreement, abs=0.05)


def test_a_healthy_network_gives_no_finding() -> None:
    model = chain()
    q = zp.quantize(model, [images(40)])
    found = analyze(model, q, [images(40)])
    assert found.findings == ()
    assert found.improved(zp.Recipe()) == zp.Recipe()
    assert "Nothing found that a change of the recipe would mend." in str(found)


def test_the_parts_add_up_where_they_are_independent(analysis: Analysis) -> None:
    for layer in analysis.layers:
        noise = layer.noise
        own = noise.weight + noise.bias + noise.clipping + noise.rounding
        assert own == pytest.approx(layer.own, rel=0.3)
        assert layer.sqnr_db <= layer.own_db + 3


def test_what_enters_a_layer_is_what_left_those_before(analysis: Analysis) -> None:
    first = analysis.layers[0]
    assert (first.kind, first.layer, first.operator) == ("input", "x", "input")
    assert first.inherited_db == math.inf
    assert all(layer.noise.inherited > 0 for layer in analysis.layers[1:])


def test_batches_of_any_size_give_the_same(
    residual: tuple[nn.Module, QuantizedModel], analysis: Analysis
) -> None:
    x = images(40)
    cut = analyze(*residual, [x[:7], x[7:8], x[8:]])
    assert cut.samples == analysis.samples
    assert cut.output_sqnr_db == pytest.approx(analysis.output_sqnr_db, abs=0.01)
    for one, other in zip(cut.layers, analysis.layers, strict=True):
        assert one.own_db == pytest.approx(other.own_db, abs=0.05)
        assert one.gain_db == pytest.approx(other.gain_db, abs=0.05)


def test_so_many_samples_are_looked_at(residual: tuple[nn.Module, QuantizedModel]) -> None:
    told: list[tuple[str, int, int | None]] = []
    x = images(100)
    found = analyze(*residual, [x[:10], x[10:]], samples=90, ranking=False, progress=told_to(told))
    assert found.samples == 90
    assert told == [("analyze", done, 90) for done in (0, 64, 90)]


def test_the_statistics_of_its_images_serve_to_quantize_again(
    residual: tuple[nn.Module, QuantizedModel], analysis: Analysis
) -> None:
    model, statistics = residual[0], analysis.statistics
    assert statistics is not None
    again = zp.quantize(model, statistics, engine="reference").program
    expected = zp.quantize(model, [images(40)], engine="reference").program
    assert str(again) == str(expected)
    other = zp.observe(model, [images(40)])
    assert statistics.places.keys() < other.places.keys()  # additions are fused in the program
    assert other.weights == statistics.weights
    assert other.samples == statistics.samples == 40


def told_to(told: list[tuple[str, int, int | None]]) -> Any:
    return lambda *stage: told.append(stage)


def test_without_a_ranking_effects_are_unknown(
    residual: tuple[nn.Module, QuantizedModel], analysis: Analysis
) -> None:
    found = analyze(*residual, [images(40)], ranking=False)
    assert found.output_sqnr_db == analysis.output_sqnr_db
    assert all(layer.effect is None and layer.gain_db is None for layer in found.layers)
    own = [layer.own_db for layer in found.ranking]
    assert own == sorted(own)
    assert "effect" not in str(found)


def test_the_ranking_is_by_what_the_output_gains(analysis: Analysis) -> None:
    gains = [layer.gain_db for layer in analysis.ranking if layer.gain_db is not None]
    assert len(gains) == len(analysis.layers)
    assert gains == sorted(gains, reverse=True)
    for layer in analysis.layers:
        assert layer.effect is not None
        gain = layer.effect.without_db - analysis.output_sqnr_db
        assert layer.gain_db == pytest.approx(gain, abs=1e-6)


def test_kinds_of_units() -> None:
    model = seeded(Islands())
    found = analyze(model, zp.quantize(model, [images(40)]), [images(40)], ranking=False)
    kinds = {layer.layer: (layer.kind, layer.operator) for layer in found.layers}
    assert kinds["x"] == ("input", "input")
    assert kinds["conv1"] == ("layer", "conv2d")
    assert kinds["norm"] == ("fence", "aten.group_norm.default")
    assert found.layer("fc").grid is None
    assert found.layer("fc").codes is None


def test_the_users_model_and_loader_stay_as_they_are() -> None:
    model = chain().train()
    q = zp.quantize(model, [images(4)])
    seen: list[tuple[bool, bool]] = []

    def loader() -> Any:
        for _ in range(2):
            seen.append((torch.is_grad_enabled(), model.training))
            yield {"x": images(4)}

    assert analyze(model, q, loader(), ranking=False).samples == 8
    assert seen == [(True, True), (True, True)]
    assert model.training


def test_several_outputs_are_one_signal() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            y = torch.relu(self.one(x))
            return {"maps": y, "more": self.two(y)}

    model = seeded(Two())
    found = analyze(model, zp.quantize(model, [images(8)]), [images(8)])
    assert found.agreement is None
    assert 30 < found.output_sqnr_db < 60
    assert [layer.layer for layer in found.layers] == ["x", "one", "two"]


def test_the_model_has_to_be_the_one_that_was_quantized(
    residual: tuple[nn.Module, QuantizedModel],
) -> None:
    other = seeded(Residual(), seed=1)
    with pytest.raises(ProgramError, match=r"numbers of .* steps of its grid from the model's"):
        analyze(other, residual[1], [images(4)])


def test_images_it_cannot_take_are_refused(residual: tuple[nn.Module, QuantizedModel]) -> None:
    with pytest.raises(CalibrationError, match="samples=0; an analysis needs at least one"):
        analyze(*residual, [images(4)], samples=0)
    with pytest.raises(CalibrationError, match="yields no batch"):
        analyze(*residual, [])
    with pytest.raises(CalibrationError, match="holds NaN or infinity"):
        analyze(*residual, [images(4) * math.nan])


# --- as data, as a table, as a figure ----------------------------------------------------------


def test_it_is_json_data_with_these_keys(analysis: Analysis) -> None:
    data = json.loads(json.dumps(analysis.to_dict(), allow_nan=False))
    assert set(data) == {"samples", "output_sqnr_db", "agreement", "layers", "findings"}
    layer = data["layers"][1]
    assert set(layer) == {
        "value", "layer", "operator", "line", "kind", "grid", "elements", "sqnr_db", "own_db",
        "inherited_db", "noise", "saturated", "codes_used", "codes", "channels", "alone_db",
        "without_db", "alone_agreement", "without_agreement", "gain_db", "scatter",
    }  # fmt: skip
    assert set(layer["noise"]) == {"inherited", "weight", "bias", "clipping", "rounding"}
    assert set(layer["grid"]) == {"type", "scale", "zero_point", "low", "high", "axis"}
    assert set(layer["channels"]) == {"maxima", "dead", "outliers"}
    assert len(layer["channels"]["maxima"]) == 8
    assert 0 < len(layer["scatter"]) <= 400
    assert data["layers"][0]["inherited_db"] is None


def test_a_channel_far_above_the_others_is_an_outlier() -> None:
    model = chain()
    model.conv1.weight.data[3] *= 100
    found = analyze(model, zp.quantize(model, [images(8)]), [images(8)], ranking=False)
    assert found.layer("conv1").channels.outliers == (3,)


def test_the_table_has_a_row_for_each_unit(analysis: Analysis) -> None:
    text = str(analysis)
    assert f"Output {analysis.output_sqnr_db:.1f} dB on 40 samples" in text
    for layer in analysis.layers:
        assert layer.layer in text


def test_the_scatter_holds_both_networks_numbers(analysis: Analysis) -> None:
    layer = analysis.layer("stem.0")
    assert layer.grid is not None
    scale = layer.grid.scale.item()
    for real, narrowed in layer.scatter:
        assert abs(real - narrowed) < 0.5 * max(1.0, abs(real))
        assert narrowed / scale == pytest.approx(round(narrowed / scale), abs=1e-3)


# --- what is found, and what becomes of it -----------------------------------------------------


@pytest.fixture(scope="module")
def poor() -> tuple[nn.Module, zp.Recipe, Analysis]:
    """A network with several problems: one scale for all channels, clipping, few bits."""
    coarse = zp.Recipe(activations=zp.TensorSpec(bits=5), bias_correction=False, gptq=False)
    recipe = zp.Recipe(
        bias_correction=False,
        gptq=False,
        weights=zp.TensorSpec(granularity=zp.PerTensor(), calibrator=zp.MinMax()),
        activations=zp.TensorSpec(calibrator=zp.Percentile(98.0)),
        overrides={"conv2": coarse},
    )
    model = chain()
    model.conv1.weight.data[3] *= 20
    return model, recipe, analyze(model, zp.quantize(model, [images(40)], recipe), [images(40)])


def test_findings_begin_with_the_most_rewarding(
    poor: tuple[nn.Module, zp.Recipe, Analysis],
) -> None:
    findings = poor[2].findings
    gains = [finding.output_gain_db for finding in findings if finding.output_gain_db is not None]
    assert gains == sorted(gains, reverse=True)
    assert {"clipped_activation", "too_few_bits", "input_grid"} == {f.check for f in findings}


def test_of_two_proposals_for_one_field_one_is_made(
    poor: tuple[nn.Module, zp.Recipe, Analysis],
) -> None:
    changes = [(f.value, f.change) for f in poor[2].findings if f.change is not None]
    fields = [(value, field) for value, change in changes for field in change.touches]
    assert len(fields) == len(set(fields))


def test_improving_twice_mends_what_greater_errors_hid(
    poor: tuple[nn.Module, zp.Recipe, Analysis],
) -> None:
    model, recipe, found = poor
    x, outputs = [images(40)], [found.output_sqnr_db]
    for _ in range(2):
        recipe = found.improved(recipe)
        found = analyze(model, zp.quantize(model, x, recipe), x)
        outputs.append(found.output_sqnr_db)
    assert outputs[1] > outputs[0] + 10
    assert outputs[2] > 38
    assert [finding.check for finding in found.findings] == ["outlier_channel"]


@pytest.mark.parametrize("calibrator", [zp.MSE(), zp.MinMax(), zp.Percentile()], ids=repr)
def test_the_calibrator_in_use_is_never_proposed(calibrator: Any, tmp_path: Path) -> None:
    """Calibrated on images of another size, any range looks worth a change."""
    model = seeded(Residual())
    recipe = zp.Recipe(activations=zp.TensorSpec(calibrator=calibrator))
    q = zp.quantize(model, [0.2 * images(16)], recipe, engine="reference")
    q.save(tmp_path / "q.safetensors")
    for each in (q, zp.load(tmp_path / "q.safetensors", engine="reference")):
        found = analyze(model, each, [images(16, seed=1)]).findings
        assert found
        for finding in found:
            if finding.change is not None:
                assert f"calibrator={calibrator!r}" not in str(finding.change)
