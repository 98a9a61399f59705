import math
import sys
from dataclasses import replace

import pytest

import zeropoint as zp
from zeropoint.errors import ProgramError, ZeropointError
from zeropoint.graph.graph import Origin
from zeropoint.report.analysis.analysis import Analysis, Channels, LayerAnalysis, Noise
from zeropoint.report.analysis.finding import Change, Edit, Finding


def unit(name: str, own: float = 1e-4, gain: float | None = None) -> LayerAnalysis:
    return LayerAnalysis(
        value=f"{name}_out",
        layer=name,
        operator="conv2d",
        line="net.py:1",
        kind="layer",
        grid=None,
        elements=10,
        total=2 * own,
        own=own,
        noise=Noise(own, own / 2, 0.0, 0.0, own / 2),
        saturated=None,
        codes_used=None,
        codes=None,
        channels=Channels(),
        scatter=(),
        gain_db=gain,
    )


def finding(name: str, change: Change | None, gain: float | None) -> Finding:
    return Finding("check", name, f"{name}_out", "a", "b", "c", change, gain, gain)


def analysis(*findings: Finding) -> Analysis:
    layers = (unit("conv1", gain=0.5), unit("conv2", 1e-3, gain=2.0), unit("fc", 0.0, gain=-0.1))
    return Analysis(8, 35.0, 0.9925, layers, findings)


def edit(name: str, bits: int) -> Change:
    return Change(name, Origin(name), activations=Edit(bits=bits))


def test_a_layer_is_found_by_its_path_or_its_value() -> None:
    found = analysis()
    assert found.layer("conv2") is found.layers[1]
    assert found.layer("conv2_out") is found.layers[1]


def test_an_unknown_layer_is_answered_with_the_nearest() -> None:
    with pytest.raises(ProgramError) as raised:
        analysis().layer("cnv1")
    message = "no layer that adds an error is named 'cnv1'; did you mean 'conv1'?"
    assert str(raised.value) == message


def test_the_ranking_begins_with_the_greatest_gain() -> None:
    assert [layer.layer for layer in analysis().ranking] == ["conv2", "conv1", "fc"]
    unmeasured = replace(
        analysis(), layers=tuple(replace(layer, gain_db=None) for layer in analysis().layers)
    )
    assert [layer.layer for layer in unmeasured.ranking] == ["conv2", "conv1", "fc"]


def test_the_improved_recipe_has_every_change_that_gains() -> None:
    good, bad = edit("conv1", bits=8), edit("conv2", bits=8)
    found = analysis(
        finding("conv1", good, 2.0), finding("conv2", bad, -1.0), finding("fc", None, 1.0)
    )
    changed = found.improved(zp.Recipe())
    assert changed == good.applied_to(zp.Recipe())


def test_of_two_changes_of_the_same_field_the_better_one_is_made() -> None:
    found = analysis(
        finding("conv1", edit("conv1", bits=8), 2.0), finding("conv1", edit("conv1", bits=6), 1.0)
    )
    assert found.improved(zp.Recipe()) == edit("conv1", bits=8).applied_to(zp.Recipe())


def test_changes_of_different_fields_are_all_made() -> None:
    range_of = Change("conv1", Origin("conv1"), activations=Edit(calibrator=zp.MinMax()))
    found = analysis(finding("conv1", edit("conv1", bits=6), 2.0), finding("conv1", range_of, 1.0))
    override = found.improved(zp.Recipe()).overrides["conv1"]
    assert override is not None
    assert override.activations == zp.TensorSpec(bits=6, calibrator=zp.MinMax())


def test_without_measured_effects_the_layers_own_gain_decides() -> None:
    one = replace(finding("conv1", edit("conv1", bits=6), None), own_gain_db=3.0)
    assert analysis(one).improved(zp.Recipe()) != zp.Recipe()
    assert analysis(finding("conv1", edit("conv1", bits=6), None)).improved(zp.Recipe()) == (
        zp.Recipe()
    )


def test_an_error_of_nothing_is_infinite_and_none_in_data() -> None:
    found = analysis().layer("fc")
    assert found.own_db == math.inf
    assert found.to_dict()["own_db"] is None
    assert "∞" in str(analysis())


def test_findings_are_numbered_under_the_table() -> None:
    text = str(analysis(finding("conv1", edit("conv1", bits=8), 2.0), finding("fc", None, None)))
    assert "1. conv1: A. B. C (+2.0 dB)." in text
    assert "2. fc: A. B. C." in text
    assert "99.25 % of the decisions agree" in text


def test_the_figure_has_bars_of_parts_and_lines_of_decibels() -> None:
    pytest.importorskip("matplotlib")
    line, bars = analysis().plot().axes
    assert [label.get_text() for label in bars.get_xticklabels()] == ["conv1", "conv2", "fc"]
    assert len(bars.containers) == 5
    assert len(line.lines) == 2
    assert line.get_title() == "SQNR: 35.0 dB at the output"


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ZeropointError, match=r"pip install 'zeropoint\[report\]'"):
        analysis().plot()
