"""`zeropoint export`: FILE for other engines."""

import enum
from pathlib import Path
from typing import Annotated

import typer

import zeropoint as zp
from zeropoint.cli.options import FileArgument, JsonOption
from zeropoint.cli.output import emit_json, megabytes, say


class Form(enum.StrEnum):
    """How ONNX says int8."""

    QDQ = "qdq"
    QOPERATOR = "qoperator"


class RoundingName(enum.StrEnum):
    """How C requantizes."""

    SINGLE = "single"
    DOUBLE = "double"


def export(
    file: FileArgument,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="model.onnx, model.xml, model.pt2 or model.c")
    ],
    *,
    form: Annotated[
        Form | None, typer.Option(help="ONNX: float operators between grids, or integer operators")
    ] = None,
    opset: Annotated[int | None, typer.Option(help="ONNX: the version of the operator set")] = None,
    exact: Annotated[
        bool | None,
        typer.Option("--exact/--no-exact", help="ONNX: additions as the program has them"),
    ] = None,
    rounding: Annotated[
        RoundingName | None, typer.Option(help="C: one rounding, or two like TFLite")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write FILE in the format of OUT's suffix, for other engines."""
    options = {
        "form": form and form.value,
        "opset": opset,
        "exact": exact,
        "rounding": rounding and rounding.value,
    }
    given = {name: value for name, value in options.items() if value is not None}
    zp.load(file, engine="reference").export(out, **given)
    written = {str(path): path.stat().st_size for path in files_of(out)}
    if as_json:
        emit_json({"files": written})
        return
    for path, size in written.items():
        say(f"Wrote {path}: {megabytes(size)}", soft_wrap=True)


def files_of(out: Path) -> list[Path]:
    """What export has written: two formats have a second file beside the one that is named."""
    beside = {".xml": ".bin", ".c": ".h"}
    names = [out, out.with_suffix(beside[out.suffix])] if out.suffix in beside else [out]
    return [path for path in names if path.exists()]
