import pytest

from tests.cli.shell import Shell, assert_mistake


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


def test_brackets_in_a_folders_name_are_no_markup(zeropoint: Shell) -> None:
    out = zeropoint.folder / "[red]nets" / "net.c"
    out.parent.mkdir()
    assert f"Wrote {out}" in zeropoint("export", zeropoint.file, out).out


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
