"""Program -> file: one file a format, each written from the program itself, integer by integer.

    model.onnx     ONNX: QuantizeLinear / DequantizeLinear, or form="qoperator"
    model.xml      OpenVINO IR, with its model.bin
    model.pt2      an ExportedProgram for torch.export.load
    model.c        C99 with model.h, integers only

To add a format is to add a file with a `FORMAT`, and a line in `FORMATS`.
"""

import os
from pathlib import Path
from typing import Any

from zeropoint.errors import ExportError
from zeropoint.export.c import FORMAT as C
from zeropoint.export.format import Format
from zeropoint.export.onnx import FORMAT as ONNX
from zeropoint.export.openvino import FORMAT as OPENVINO
from zeropoint.export.pt2 import FORMAT as TORCH
from zeropoint.program.program import Program

FORMATS: tuple[Format, ...] = (ONNX, OPENVINO, TORCH, C)


def export(program: Program, path: str | os.PathLike[str], **options: Any) -> None:
    """Write the program in the format of the path's suffix, atomically.

    ExportError names the layer that the format cannot carry and the formats that can, an option
    that the format does not have, or the extra that is missing; FileError a path that cannot be
    written.
    """
    chosen = _by_suffix(Path(path))
    unknown = sorted(options.keys() - set(chosen.options))
    if unknown:
        known = ", ".join(chosen.options) or "none"
        raise ExportError(f"{chosen.name} has no option {unknown[0]!r}; its options: {known}")
    refusal = chosen.refusal(program, **options)
    if refusal is not None:
        others = [f.suffix for f in FORMATS if f is not chosen and f.refusal(program) is None]
        instead = f"formats that can: {', '.join(others)}" if others else "no other format can"
        raise ExportError(f"{chosen.name} cannot carry {refusal}; {instead}")
    chosen.write(program, path, **options)


def _by_suffix(path: Path) -> Format:
    for format in FORMATS:
        if path.suffix == format.suffix:
            return format
    known = ", ".join(f"{format.suffix} ({format.name})" for format in FORMATS)
    raise ExportError(f"{path} names no format that zeropoint writes; use one of {known}")
