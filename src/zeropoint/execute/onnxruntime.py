"""The onnxruntime executor: the program as ONNX would have it, run by ONNX Runtime.

Its kernels cannot add before they round, so a convolution with an addend runs as ConvInteger, or in
float32 on integers that are exact there: `exact=True` of export/onnx/qoperator.py, right but slow.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zeropoint import target
from zeropoint.errors import EngineError, ExportError
from zeropoint.execute.executor import Executor
from zeropoint.export.onnx import to_onnx
from zeropoint.export.onnx.unsigned import make_weights_unsigned
from zeropoint.graph.value import UNKNOWN
from zeropoint.program.program import Program

MISSING = "the package {} is not installed: pip install 'zeropoint[onnx]'"
INEXACT = ["DoubleQDQPairsRemover"]
"""It makes one grid of two that follow each other, with a scale that neither had."""

FATAL_ONLY = 4  # errors are raised; they need not be printed as well


def why_unusable() -> str | None:
    """Why ONNX Runtime cannot be used on this machine; None if it can."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return MISSING.format("onnxruntime")
    try:
        import onnx  # noqa: F401
    except ImportError:
        return MISSING.format("onnx")
    return None


class OnnxRuntime(Executor):
    """A program in an ONNX Runtime session, with as many threads as torch has when it is made.

    EngineError says what cannot be run.
    """

    def __init__(self, program: Program) -> None:
        _check_usable()
        self._program = program
        self._model = _model(program)
        self._session = _session(self._model, INEXACT)

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The program's outputs."""
        graph = self._program.graph
        return tuple(_run(self._session, _feed(graph.inputs, inputs), graph.outputs))

    def trace(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Every value of the program that has a tensor of its own in ONNX, integers as integers.

        Accumulators have none. The session is another one, since a tensor that is looked at cannot
        be fused away; its integers are the same.
        """
        import onnx

        model = onnx.load_from_string(self._model)
        written = {name for node in model.graph.node for name in node.output}
        returned = {output.name for output in model.graph.output}
        names = [name for name in self._program.graph.values if name in written]
        for name in names:
            if name not in returned:
                model.graph.output.append(onnx.ValueInfoProto(name=name))
        session = _session(model.SerializeToString(), INEXACT)
        feed = _feed(self._program.graph.inputs, inputs)
        return dict(zip(names, _run(session, feed, names), strict=True))


class OnnxFile(Executor):
    """model.onnx as its users run it: a session with the default settings."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        _check_usable()
        self._session = _session(Path(path).read_bytes())
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._outputs = [each.name for each in self._session.get_outputs()]

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The file's outputs."""
        return tuple(_run(self._session, _feed(self._inputs, inputs), self._outputs))


def _check_usable() -> None:
    reason = why_unusable()
    if reason is not None:
        raise EngineError(f"the onnxruntime engine is not usable: {reason}")


def _feed(names: Sequence[str], inputs: Sequence[Tensor]) -> dict[str, Any]:  # numpy arrays
    arrays = (x.detach().contiguous().numpy() for x in inputs)
    return dict(zip(names, arrays, strict=True))


def _model(program: Program) -> bytes:
    """For images of any size, like the other engines; of the program's where it has to be."""
    with suppress(ExportError):
        return _content(_for_any_size(program))
    try:
        return _content(program)
    except ExportError as error:
        raise EngineError(f"the onnxruntime engine cannot run this: {error}") from error


def _content(program: Program) -> bytes:
    model = to_onnx(program, form="qoperator", exact=True)
    if target.cpu().pairs_saturate:  # its kernels for two unsigned operands do not
        make_weights_unsigned(model)
    content: bytes = model.SerializeToString()
    return content


def _for_any_size(program: Program) -> Program:
    values = {
        name: replace(value, shape=(*value.shape[:2], UNKNOWN, UNKNOWN))
        if len(value.shape) == 4 and name not in program.graph.constants
        else value
        for name, value in program.graph.values.items()
    }
    return replace(program, graph=replace(program.graph, values=values))


def _session(
    model: bytes, without: Sequence[str] = ()
) -> Any:  # an onnxruntime.InferenceSession: it has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    # Its threads spin while they wait, between calls too, and would take the cores from torch.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(without)
        )
    except Exception as error:  # its errors have no common class
        raise EngineError(f"ONNX Runtime cannot load the model: {_first_line(error)}") from error


def _run(session: Any, feed: dict[str, Any], names: Sequence[str]) -> list[Tensor]:
    try:
        results = session.run(list(names), feed)
    except Exception as error:  # its errors have no common class
        raise EngineError(f"ONNX Runtime cannot run this: {_first_line(error)}") from error
    return [torch.from_numpy(np.asarray(result)) for result in results]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
