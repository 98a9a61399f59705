import torch
from safetensors.torch import save_file

import zeropoint as zp
from tests.cli.shell import Shell, assert_mistake
from zeropoint.source import load_model


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


def test_a_misspelt_factory_shows_the_nearest_name(zeropoint: Shell) -> None:
    out = zeropoint.folder / "a.safetensors"
    source = zeropoint.model("factry")
    outcome = zeropoint("quantize", source, "--data", zeropoint.data, "--out", out)
    assert_mistake(outcome, "did you mean factory?")


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


def test_an_output_folder_that_is_missing_is_named_before_any_work(zeropoint: Shell) -> None:
    out = zeropoint.folder / "nowhere" / "a.safetensors"
    outcome = zeropoint("quantize", "no_such_module:f", "--data", "./nowhere", "--out", out)
    assert_mistake(outcome, f"{out} cannot be written: No such file or directory")
