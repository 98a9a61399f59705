from tests.cli.shell import Shell, assert_mistake


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
