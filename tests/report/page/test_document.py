import json
import math

import pytest
import torch

import zeropoint as zp
from tests.nets import Islands, Residual, images, seeded
from zeropoint.capture import capture
from zeropoint.passes import simplify
from zeropoint.passes.equalize import equalize
from zeropoint.report.analysis.analyze import analyze
from zeropoint.report.compare import compare
from zeropoint.report.page.document import Json, Measured, build, costliest, rounded
from zeropoint.simulation import Simulation


def document_of(model: torch.nn.Module, recipe: zp.Recipe | None = None) -> Json:
    x = images(8)
    q = zp.quantize(model, [x], recipe, engine="reference")
    graph = equalize(simplify(capture(model, [x])), q.program.levels)
    analysis = analyze(model, q, [x], samples=8)
    assert analysis.statistics is not None
    measured = Measured(
        comparison=compare(model, q, [x], latency=False),
        analysis=analysis.to_dict(),
        observations=analysis.statistics.observations,
        simulation=Simulation(graph, q.program),
    )
    return build(measured, q, "2026-01-01 00:00 UTC")


@pytest.fixture(scope="module")
def residual() -> Json:
    return document_of(seeded(Residual()))


def test_the_document_is_json_without_nan_or_infinity(residual: Json) -> None:
    assert json.loads(json.dumps(residual, allow_nan=False)) == residual


def test_every_unit_is_there_with_what_its_plots_need(residual: Json) -> None:
    layers = {layer["name"]: layer for layer in residual["layers"]}
    conv = layers["block1.conv1"]
    assert conv["weights"]["shape"] == [8, 8, 3, 3]
    assert sum(conv["weights"]["histogram"]["counts"]) == 8 * 8 * 9
    assert conv["activations"]["shape"] == ["N", 8, "H", "W"]
    assert conv["activations"]["ranges"][0]["chosen"]
    assert layers["x"]["kind"] == "input"
    assert layers["x"]["weights"] is None
    assert layers["fc"]["activations"]["ranges"] == []
    assert sum(layer["share_of_macs"] for layer in layers.values()) == pytest.approx(1, abs=1e-3)


def test_weights_are_the_float_model_s_and_not_the_rounded_ones(residual: Json) -> None:
    """Rounded weights would have an infinite SQNR at their own scale."""
    for layer in residual["layers"]:
        if layer["weights"] is not None:
            at_one = layer["weights"]["sweep"]["sqnr_db"][20]
            assert at_one is not None
            assert 30 < at_one < 60


def test_the_costliest_layers_come_first_each_with_what_to_do(residual: Json) -> None:
    gains = sorted((layer["gain_db"] or 0 for layer in residual["layers"]), reverse=True)
    costs = residual["costliest"]
    assert [cost["gain_db"] for cost in costs] == [gain for gain in gains[:3] if gain > 0]
    for cost in costs:
        assert cost["what_to_do"]


def test_the_advice_is_the_first_finding_about_the_layer() -> None:
    coarse = zp.Recipe(activations=zp.TensorSpec(bits=2, calibrator=zp.MinMax()))
    document = document_of(seeded(Residual()), coarse)
    first: dict[str, str] = {}
    for finding in document["findings"]:
        first.setdefault(finding["value"], finding["what_to_do"])
    advised = [cost for cost in document["costliest"] if cost["value"] in first]
    assert advised
    for cost in advised:
        assert cost["what_to_do"] == first[cost["value"]]


def test_without_a_finding_the_advice_fits_what_the_layer_costs() -> None:
    def advice(gain_db: float, module: str) -> tuple[str, str]:
        layer = {"value": "y", "name": "y", "gain_db": gain_db, "module": module}
        [cost] = costliest([layer], findings=[])
        return cost["what_to_do"], cost["change"]

    assert advice(0.1, "fc") == ("leave it: that is next to nothing", "")
    assert advice(2.0, "") == ("leave it: that is what its bits cost", "")
    assert advice(2.0, "fc")[1] == "overrides={'fc': None}"


def test_the_drawing_has_a_box_for_each_operator_and_an_edge_for_each_operand(
    residual: Json,
) -> None:
    graph = residual["graph"]
    boxes = {box["id"]: box for box in graph["nodes"]}
    units = {layer["value"] for layer in residual["layers"]}
    assert {box["value"] for box in boxes.values()} - {None} == units
    assert boxes["x"]["kind"] == "input"
    assert boxes["flatten"]["value"] is None
    assert len(graph["edges"]) == 11
    assert all(box["x"] <= graph["width"] and box["y"] < graph["rows"] for box in boxes.values())


def test_a_float_island_is_drawn_with_its_reason() -> None:
    document = document_of(seeded(Islands()))
    floats = [box for box in document["graph"]["nodes"] if box["kind"] == "float"]
    assert any("group_norm" in box["operator"] for box in floats)
    assert all(box["reason"] for box in floats)
    fences = [layer for layer in document["layers"] if layer["kind"] == "fence"]
    assert fences
    assert fences[0]["value"] in {box["value"] for box in floats}


def test_numbers_are_rounded_to_five_digits_and_infinity_is_null() -> None:
    data = {1: (1.23456789, math.inf, 3), "a": {"b": [math.nan, -0.000123456789]}, "c": True}
    assert rounded(data) == {"1": [1.2346, None, 3], "a": {"b": [None, -0.00012346]}, "c": True}
