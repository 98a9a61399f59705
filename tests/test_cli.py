import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import zeropoint as zp
from zeropoint.cli import main
from zeropoint.cli.images import height_and_width, numbers
from zeropoint.cli.output import finite
from zeropoint.source import load_model

NET = """
import torch
from torch import nn


def factory():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 2)
    ).eval()


def for_colours():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 2))


def gives_images():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 2, 3))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)

    def forward(self, x):
        return self.conv(x) if x.sum() > 0 else self.conv(-x)


def nothing_to_quantize():
    return nn.ReLU()
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:  # whatever the command's JSON says
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """`zeropoint` with a model, its data and a folder to write to."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = self.capture.readouterr()
        code = left.value.code
        assert isinstance(code, int | None)
        return Outcome(code or 0, captured.out, captured.err)

    def model(self, name: str) -> str:
        return f"{self.folder / 'cli_net.py'}:{name}"

    @property
    def source(self) -> str:
        return self.model("factory")

    @property
    def data(self) -> Path:
        return self.folder / "images"

    @property
    def file(self) -> Path:
        """A quantized network, made at the first use."""
        path = self.folder / "net.safetensors"
        if not path.exists():
            assert self("quantize", self.source, "--data", self.data, "--out", path).code == 0
        return path


@pytest.fixture
def zeropoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    (tmp_path / "cli_net.py").write_text(NET)
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(5):
            pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    return Shell(tmp_path, capsys)


def assert_mistake(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("zeropoint: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err


# --- each command ------------------------------------------------------------------------------


def test_quantize_writes_a_file_that_loads_and_says_what_runs_in_int8(zeropoint: Shell) -> None:
    out = zeropoint.folder / "net.safetensors"
    outcome = zeropoint("quantize", zeropoint.source, "--data", zeropoint.data, "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"Wrote {out}" in outcome.out
    x = torch.rand(3, 1, 8, 8)
    assert zp.load(out)(x).shape == (3, 2)


def test_quantize_prints_only_json_when_asked(zeropoint: Shell) -> None:
    out = zeropoint.folder / "net.safetensors"
    outcome = zeropoint(
        "quantize", zeropoint.source, "--data", zeropoint.data, "--out", out, "--json"
    )
    assert outcome.facts["bytes"] == out.stat().st_size
    assert set(outcome.facts) == {"file", "bytes", "seconds", "coverage"}


def test_quantize_loads_weights(zeropoint: Shell) -> None:
    weights = zeropoint.folder / "weights.safetensors"
    state = load_model(zeropoint.source).state_dict()
    save_file({**state, "4.bias": torch.tensor([100.0, -100.0])}, weights)
    out = zeropoint.folder / "net.safetensors"
    zeropoint(
        "quantize", zeropoint.source, "--weights", weights, "--data", zeropoint.data, "--out", out
    )
    logits = zp.load(out)(torch.rand(1, 1, 8, 8))
    assert logits[0, 0] > 90
    assert logits[0, 1] < -90


def test_options_of_quantize_reach_the_recipe(zeropoint: Shell) -> None:
    out = zeropoint.folder / "net.safetensors"
    command = ("quantize", zeropoint.source, "--data", zeropoint.data, "--out", out)
    options = ("--bits-weights", 4, "--calibrator", "min-max", "--samples", 7, "--float", "4")
    assert zeropoint(*command, *options, "--engine", "reference").code == 0
    quantized = zp.load(out, engine="reference")
    assert "i4[8,1,3,3]" in str(quantized.program)
    assert quantized.provenance["samples"] == 7
    assert_mistake(zeropoint(*command, "--float", "44"), "44")


def test_compare_shows_both_networks(zeropoint: Shell) -> None:
    command = ("compare", zeropoint.source, zeropoint.file, "--data", zeropoint.data)
    outcome = zeropoint(*command, "--no-latency")
    assert (outcome.code, outcome.err) == (0, "")
    assert "accuracy" in outcome.out
    facts = zeropoint(*command, "--no-latency", "--json").facts
    assert {"float_accuracy", "int8_accuracy", "agreement", "flips", "size_ratio"} <= set(facts)


def test_report_writes_a_page_and_the_same_numbers_as_json(zeropoint: Shell) -> None:
    out = zeropoint.folder / "page.html"
    command = ("report", zeropoint.source, zeropoint.file, "--data", zeropoint.data, "--out", out)
    outcome = zeropoint(*command, "--no-latency", "--analysed", 4)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"Wrote {out}" in outcome.out
    assert out.read_text().startswith("<!doctype html>")
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["comparison"]["samples"] == 10
    assert facts["samples"] == 4


def test_report_prints_only_json_when_asked(zeropoint: Shell) -> None:
    out = zeropoint.folder / "page.html"
    command = ("report", zeropoint.source, zeropoint.file, "--data", zeropoint.data, "--out", out)
    facts = zeropoint(*command, "--no-latency", "--samples", 4, "--json").facts
    assert facts["comparison"]["samples"] == 4
    assert facts == json.loads(out.with_suffix(".json").read_text())


def test_a_report_that_cannot_be_written_is_refused_before_any_work(zeropoint: Shell) -> None:
    out = zeropoint.folder / "nowhere" / "page.html"
    outcome = zeropoint("report", "no_such_module:f", "a", "--data", "./nowhere", "--out", out)
    assert_mistake(outcome, f"{out} cannot be written")


def test_evaluate_counts_what_is_right(zeropoint: Shell) -> None:
    command = ("evaluate", zeropoint.file, "--data", zeropoint.data)
    facts = zeropoint(*command, "--json").facts
    compared = zeropoint(
        "compare",
        zeropoint.source,
        zeropoint.file,
        "--data",
        zeropoint.data,
        "--no-latency",
        "--json",
    ).facts
    assert facts["samples"] == 10
    assert facts["accuracy"] == facts["correct"] / 10 == compared["int8_accuracy"]
    assert "10" in zeropoint(*command).out
    assert zeropoint(*command, "--samples", 4, "--json").facts["samples"] == 4


def test_bench_measures_latency(zeropoint: Shell) -> None:
    outcome = zeropoint("bench", zeropoint.source, zeropoint.file)
    assert (outcome.code, outcome.err) == (0, "")
    assert "ms" in outcome.out
    assert zeropoint("bench", zeropoint.source, zeropoint.file, "--json").facts


def test_inspect_shows_coverage_plan_and_provenance(zeropoint: Shell) -> None:
    outcome = zeropoint("inspect", zeropoint.file)
    assert (outcome.code, outcome.err) == (0, "")
    assert "torch" in outcome.out
    assert "conv" not in zeropoint("inspect", zeropoint.file, "--json").facts


def test_inspect_prints_the_whole_program_when_asked(zeropoint: Shell) -> None:
    outcome = zeropoint("inspect", zeropoint.file, "--program")
    assert str(zp.load(zeropoint.file).program) in outcome.out


@pytest.mark.parametrize("name", ["net.c", "net.pt2"])
def test_export_writes_the_format_of_the_suffix(zeropoint: Shell, name: str) -> None:
    out = zeropoint.folder / name
    outcome = zeropoint("export", zeropoint.file, out)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"Wrote {out}" in outcome.out
    written = zeropoint("export", zeropoint.file, out, "--json").facts["files"]
    assert written[str(out)] == out.stat().st_size
    beside = {str(out.with_suffix(".h"))} if name == "net.c" else set()
    assert set(written) == {str(out)} | beside


def test_options_of_export_reach_the_format(zeropoint: Shell) -> None:
    onnx = pytest.importorskip("onnx")
    out = zeropoint.folder / "net.onnx"
    options = ("--form", "qoperator", "--opset", 21, "--exact")
    assert zeropoint("export", zeropoint.file, out, *options).code == 0
    model = onnx.load(out)
    assert model.opset_import[0].version == 21
    assert "QLinearConv" in {node.op_type for node in model.graph.node}


def test_a_format_without_an_option_refuses_it(zeropoint: Shell) -> None:
    out = zeropoint.folder / "net.c"
    assert_mistake(zeropoint("export", zeropoint.file, out, "--opset", 21), "no option 'opset'")
    assert_mistake(zeropoint("export", zeropoint.file, out, "--rounding", "up"), "'up'", "single")
    assert_mistake(zeropoint("export", zeropoint.file, "net.tflite"), "names no format", ".onnx")
    assert not out.exists()


def test_verify_prints_and_saves_the_certificate(zeropoint: Shell) -> None:
    out, exported = zeropoint.folder / "certificate.json", zeropoint.folder / "net.pt2"
    assert zeropoint("export", zeropoint.file, exported).code == 0
    command = ("verify", zeropoint.file, "--data", zeropoint.data, "--exported", exported)
    options = ("--engines", "reference", "--samples", 6, "--out", out)
    outcome = zeropoint(*command, *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert "net.pt2" in outcome.out
    assert "passes" in outcome.out
    facts = json.loads(out.read_text())
    assert facts["samples"] == 6
    assert [check["engine"] for check in facts["checks"]] == ["reference", "net.pt2"]
    assert zeropoint(*command, *options, "--json").facts == facts


def test_verify_leaves_with_1_where_something_fails(zeropoint: Shell) -> None:
    missing = zeropoint.folder / "none.onnx"
    command = ("verify", zeropoint.file, "--data", zeropoint.data, "--engines", "reference")
    outcome = zeropoint(*command, "--exported", missing)
    assert outcome.code == 1
    assert "could not run" in outcome.out
    assert f"{missing} does not exist" in outcome.out
    assert zeropoint(*command, "--exported", missing, "--json").code == 1


def test_verify_refuses_an_engine_that_does_not_exist(zeropoint: Shell) -> None:
    command = ("verify", zeropoint.file, "--data", zeropoint.data, "--engines", "onednnn")
    assert_mistake(zeropoint(*command), "no engine 'onednnn'")


def test_help_names_every_command(zeropoint: Shell) -> None:
    outcome = zeropoint("--help")
    assert outcome.code == 0
    commands = ("demo", "quantize", "compare", "report", "evaluate", "bench", "inspect")
    for command in (*commands, "export", "verify"):
        assert command in outcome.out


# --- what bad input gets -----------------------------------------------------------------------


def test_mistakes_in_the_command_line_are_one_sentence(zeropoint: Shell) -> None:
    assert_mistake(zeropoint("quantise"), "quantise", "quantize")
    assert_mistake(zeropoint("evaluate", "a.safetensors"), "--data")
    assert_mistake(zeropoint("evaluate", "a.safetensors", "--dta", "x"), "--dta", "--data")
    assert_mistake(zeropoint("evaluate", "a", "--data", "b", "--size", "big"), "224x320")
    assert_mistake(zeropoint("evaluate", "a", "--data", "b", "--mean", "0,5;1"), "0.485,0.456,0.4")


def test_a_misspelt_factory_shows_the_nearest_name(zeropoint: Shell) -> None:
    out = zeropoint.folder / "a.safetensors"
    source = zeropoint.model("factry")
    outcome = zeropoint("quantize", source, "--data", zeropoint.data, "--out", out)
    assert_mistake(outcome, "did you mean factory?")


def test_missing_data_is_named(zeropoint: Shell) -> None:
    assert_mistake(zeropoint("evaluate", zeropoint.file, "--data", "./nowhere"), "./nowhere")


def test_an_output_folder_that_is_missing_is_named_before_any_work(zeropoint: Shell) -> None:
    out = zeropoint.folder / "nowhere" / "a.safetensors"
    outcome = zeropoint("quantize", "no_such_module:f", "--data", "./nowhere", "--out", out)
    assert_mistake(outcome, f"{zeropoint.folder / 'nowhere'} is no folder")


def test_a_model_with_nothing_to_quantize_is_refused(zeropoint: Shell) -> None:
    out = zeropoint.folder / "a.safetensors"
    source = zeropoint.model("nothing_to_quantize")
    assert_mistake(zeropoint("quantize", source, "--data", zeropoint.data, "--out", out))
    assert not out.exists()


def test_a_model_that_cannot_be_captured_shows_its_line(zeropoint: Shell) -> None:
    out = zeropoint.folder / "a.safetensors"
    source = zeropoint.model("Branches")
    outcome = zeropoint("quantize", source, "--data", zeropoint.data, "--out", out)
    assert outcome.code == 2
    sentence = outcome.err.splitlines()[-1]  # torch.export prints its graph before it
    assert sentence.startswith("zeropoint: Branches cannot be captured")
    assert "cli_net.py" in sentence
    assert "if x.sum() > 0" in sentence


def test_a_model_that_does_not_take_the_images_is_named(zeropoint: Shell) -> None:
    source, file = zeropoint.model("for_colours"), zeropoint.file
    outcome = zeropoint("compare", source, file, "--data", zeropoint.data)
    assert_mistake(outcome, f"{source} does not take an input of the shape (1, 1, 8, 8)")
    assert_mistake(zeropoint("bench", source, file), f"{source} does not take an input")


def test_images_of_another_size_are_refused_where_the_network_needs_its_own(
    zeropoint: Shell,
) -> None:
    outcome = zeropoint("evaluate", zeropoint.file, "--data", zeropoint.data, "--size", 20)
    assert_mistake(outcome, "(1, 1, 20, 20)")


def test_a_network_without_classes_has_no_accuracy(zeropoint: Shell) -> None:
    out = zeropoint.folder / "images.safetensors"
    source = zeropoint.model("gives_images")
    assert zeropoint("quantize", source, "--data", zeropoint.data, "--out", out).code == 0
    outcome = zeropoint("evaluate", out, "--data", zeropoint.data)
    assert_mistake(outcome, "does not give one score for each class")


def test_a_foreign_file_is_refused(zeropoint: Shell) -> None:
    file = zeropoint.folder / "foreign.safetensors"
    file.write_bytes(b"hello")
    for command in (("evaluate", file, "--data", zeropoint.data), ("inspect", file)):
        assert_mistake(zeropoint(*command), "foreign.safetensors")
    assert_mistake(zeropoint("inspect", zeropoint.folder / "nowhere.safetensors"), "nowhere")


def test_an_unknown_engine_is_refused(zeropoint: Shell) -> None:
    outcome = zeropoint("evaluate", zeropoint.file, "--data", zeropoint.data, "--engine", "onednnn")
    assert_mistake(outcome, "onednnn")


# --- the pieces --------------------------------------------------------------------------------


def test_sizes_and_numbers_are_parsed() -> None:
    assert height_and_width("224") == (224, 224)
    assert height_and_width("224x320") == (224, 320)
    assert numbers("0.5") == (0.5,)
    assert numbers("0.485,0.456,0.406") == (0.485, 0.456, 0.406)


def test_json_has_null_for_what_it_cannot_say() -> None:
    assert finite({"a": [float("inf"), 1.5], "b": float("nan")}) == {"a": [None, 1.5], "b": None}


def test_bars_are_drawn_on_a_terminal_and_not_in_a_pipe(zeropoint: Shell) -> None:
    command = [sys.executable, "-c", "from zeropoint.cli import main; main()"]
    command += ["evaluate", str(zeropoint.file), "--data", str(zeropoint.data)]
    command += ["--engine", "reference"]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stderr == b""
    controller, terminal = pty.openpty()
    subprocess.run(command, stdout=terminal, stderr=terminal, check=True)
    os.close(terminal)
    shown = os.read(controller, 65536)
    os.close(controller)
    assert b"evaluate" in shown
