"""Exported files as executors: loaded as their users load them, for `verify`.

Nothing is told to what runs them of the sizes that are to come. A .onnx and an .xml are read as
data. What torch.export.load reads may hold pickled objects, which run code as they are loaded: that
takes the user's word that the file is to be trusted.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zeropoint.errors import EngineError, FileError
from zeropoint.execute.executor import Executor
from zeropoint.execute.onnxruntime import OnnxFile
from zeropoint.execute.openvino import OpenVinoFile
from zeropoint.execute.saturation import refuse_saturating_file, refuse_wrapping_sums
from zeropoint.graph.structure import leaves_of
from zeropoint.program.program import Program


class TorchFile(Executor):
    """What torch.export.load makes of model.pt2: the program simulated in float32."""

    def __init__(self, path: Path) -> None:
        import torch.ao.quantization.fx._decomposed  # registers torch's q / dq operators

        try:
            self._run = torch.export.load(path).module()
        except Exception as error:  # torch's have no common class
            first = str(error).partition("\n")[0]
            raise EngineError(f"torch cannot load the model: {first}") from error

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The outputs, without their nesting."""
        with torch.no_grad():
            return tuple(leaves_of(self._run(*inputs)))


OPENERS: dict[str, Callable[[Program, Path], Executor]] = {
    ".onnx": lambda program, path: OnnxFile(path),
    ".xml": lambda program, path: OpenVinoFile(path),
    ".pt2": lambda program, path: TorchFile(path),
}


ON_SATURATING_KERNELS = (".onnx", ".xml")
"""Files of integers: what runs them may saturate on this CPU."""

RUN_CODE = (".pt2",)
"""Files that may run code when they are loaded."""


def open_file(program: Program, path: str | os.PathLike[str], *, trust: bool = False) -> Executor:
    """What runs an exported file; `program` says how its inputs and outputs are to be read.

    FileError if there is no such file, or if it may run code and nobody said to `trust` it;
    EngineError if nothing here can run it.
    """
    file = Path(path)
    if not file.is_file():
        raise FileError(f"{file} does not exist, or is no file")
    if file.suffix not in OPENERS:
        known = ", ".join(OPENERS)
        raise EngineError(f"{file} cannot be run for verification; files that can: {known}")
    if file.suffix in RUN_CODE and not trust:
        raise FileError(
            f"{file} is not loaded: a {file.suffix} file may hold pickled objects, whose loading "
            "runs whatever code is in them; if the file is your own, pass trust=True (--trust)"
        )
    if file.suffix in ON_SATURATING_KERNELS:
        refuse_saturating_file(program, file.name)
    if file.suffix == ".xml":
        refuse_wrapping_sums(program)
    return OPENERS[file.suffix](program, file)
