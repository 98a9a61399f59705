import json

from tests.cli.shell import Shell, assert_mistake


def test_verify_prints_and_saves_the_certificate(zeropoint: Shell) -> None:
    out, exported = zeropoint.folder / "certificate.json", zeropoint.folder / "net.pt2"
    assert zeropoint("export", zeropoint.file, exported).code == 0
    command = ("verify", zeropoint.file, "--data", zeropoint.data, "--exported", exported)
    options = ("--trust", "--engines", "reference", "--samples", 6, "--out", out)
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


def test_verify_loads_no_file_that_may_run_code_unless_it_is_trusted(zeropoint: Shell) -> None:
    exported = zeropoint.folder / "net.pt2"
    assert zeropoint("export", zeropoint.file, exported).code == 0
    command = ("verify", zeropoint.file, "--data", zeropoint.data, "--engines", "reference")
    outcome = zeropoint(*command, "--exported", exported)
    assert outcome.code == 1
    assert "--trust" in outcome.out


def test_verify_refuses_an_engine_that_does_not_exist(zeropoint: Shell) -> None:
    command = ("verify", zeropoint.file, "--data", zeropoint.data, "--engines", "onednnn")
    assert_mistake(zeropoint(*command), "no engine 'onednnn'")
