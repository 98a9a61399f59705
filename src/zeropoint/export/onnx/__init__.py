"""ONNX: QuantizeLinear / DequantizeLinear around float operators, or operators on integers.

qdq.py         layers between the fences          qoperator.py   layers as integer operators
integers.py    other operators on integers        floats.py      every operator on real numbers
aten.py        torch's operators in islands       to_onnx.py     the way through a program
"""

import os
from typing import Any

from zeropoint.atomic import write as write_atomically
from zeropoint.errors import ExportError
from zeropoint.export.format import Format
from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.to_onnx import Wanted, to_onnx, write_sheet
from zeropoint.program.program import Program

__all__ = ["FORMAT", "to_onnx"]


def refusal(program: Program, **options: Any) -> str | None:
    """The layer, and what of it ONNX cannot carry; ExportError for an option's value."""
    try:
        write_sheet(program, Wanted(**options))
    except Refusal as reason:
        return str(reason)
    return None


def write(program: Program, path: str | os.PathLike[str], **options: Any) -> None:
    """The model in one file; ExportError if it is larger than the 2 GB of a protobuf."""
    model = to_onnx(program, **options)
    try:
        content: bytes = model.SerializeToString()
    except ValueError as error:
        raise ExportError(f"{path} would be larger than 2 GB, which an .onnx cannot be") from error

    def save(temporary: str) -> None:
        with open(temporary, "wb") as file:
            file.write(content)

    write_atomically(path, save)


FORMAT = Format("ONNX", ".onnx", refusal, write, options=("form", "opset", "exact"))
