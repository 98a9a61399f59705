"""The openvino executor: the program as an OpenVINO model, compiled for the CPU."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.execute.executor import Executor
from zeropoint.execute.saturation import refuse_saturating_pairs, refuse_wrapping_sums
from zeropoint.export.openvino import to_openvino
from zeropoint.export.openvino.package import core
from zeropoint.export.openvino.writing import DIGEST, refusal
from zeropoint.program.program import Program

MISSING = "the package openvino is not installed: pip install 'zeropoint[openvino]'"

FIXED_SHAPES = 4
"""So many shapes get a network compiled for them alone, then one for any size serves the rest.

A free size costs some hundred microseconds on every call; compiling costs a second.
"""

FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}
"""Where the CPU has bfloat16 OpenVINO takes it for float32 by default, and no file can say so."""

Shapes = tuple[torch.Size, ...]
Call = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]


def why_unusable() -> str | None:
    """Why OpenVINO cannot be used on this machine; None if it can."""
    try:
        import openvino  # noqa: F401
    except ImportError:
        return MISSING
    return None


class OpenVino(Executor):
    """A program compiled by OpenVINO's CPU plugin, with as many threads as torch has by then.

    EngineError says what cannot be run. It is compiled when it first sees a shape; each thread of
    the caller has a request of its own.
    """

    def __init__(self, program: Program) -> None:
        _check_usable()
        refuse_saturating_pairs(program, "openvino")
        refuse_wrapping_sums(program)
        self._model = _model(program)
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            **FLOAT32,
        }
        self._compiled: dict[Shapes | None, Any] = {}  # openvino.CompiledModel; None: any size
        self._compiling = threading.Lock()
        self._thread = _Thread()

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The program's outputs."""
        shapes = tuple(x.shape for x in inputs)
        call = self._thread.calls.get(shapes) or self._call(shapes)
        return call(inputs)

    def _call(self, shapes: Shapes) -> Call:
        key, compiled = self._network(shapes)
        if key not in self._thread.calls:
            self._thread.calls[key] = _Free(compiled) if key is None else _Fixed(compiled)
        return self._thread.calls[key]

    def _network(self, shapes: Shapes) -> tuple[Shapes | None, Any]:
        """The compiled network for the shapes, with its key."""
        with self._compiling:
            fixed = shapes in self._compiled or len(self._compiled) < FIXED_SHAPES
            key = shapes if fixed else None
            if key not in self._compiled:
                self._compiled[key] = self._compile(key)
            return key, self._compiled[key]

    def _compile(self, shapes: Shapes | None) -> Any:  # an openvino.CompiledModel
        model = self._model.clone()
        try:
            if shapes is not None:
                model.reshape({i: list(shape) for i, shape in enumerate(shapes)})
            return core().compile_model(model, "CPU", self._settings)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot run this: {_last_line(error)}") from error


class OpenVinoFile(Executor):
    """model.xml as whoever reads `docs/export.md` runs it: compiled once, for any size."""

    def __init__(self, path: Path) -> None:
        _check_usable()
        try:
            model = core().read_model(path)
            _check_pair(model, path.with_suffix(".bin"))
            compiled = core().compile_model(model, "CPU", FLOAT32)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot load the model: {_last_line(error)}") from error
        self._call = _Free(compiled)

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The file's outputs."""
        return self._call(inputs)


def _check_pair(model: Any, weights: Path) -> None:  # an openvino.Model
    """EngineError unless the weights are those that the model was written with, if it says so."""
    if not model.has_rt_info(list(DIGEST)):
        return
    if hashlib.sha256(weights.read_bytes()).hexdigest() != model.get_rt_info(list(DIGEST)).astype(
        str
    ):
        raise EngineError(
            f"{weights} is not the file that was written with its .xml; export the model again"
        )


def _check_usable() -> None:
    reason = why_unusable()
    if reason is not None:
        raise EngineError(f"the openvino engine is not usable: {reason}")


class _Thread(threading.local):
    """What one thread has prepared; of sizes no more than FIXED_SHAPES and one for any."""

    def __init__(self) -> None:
        self.calls: dict[Shapes | None, Call] = {}  # None: any size


def _model(program: Program) -> Any:  # an openvino.Model
    reason = refusal(program)
    if reason is not None:
        raise EngineError(f"the openvino engine cannot run this: {reason}")
    return to_openvino(program)


def _last_line(error: RuntimeError) -> str:
    """Its messages begin with the places in its own source."""
    return next((line for line in reversed(str(error).splitlines()) if line.strip()), "no reason")


class _Fixed:
    """A request for one shape. It reads the caller's tensors; its outputs are copied."""

    def __init__(self, compiled: Any) -> None:  # an openvino.CompiledModel
        self._request = compiled.create_infer_request()
        count = range(len(compiled.outputs))
        self._outputs = [
            torch.from_numpy(self._request.get_output_tensor(index).data) for index in count
        ]

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        held = [x.detach().contiguous() for x in inputs]  # OpenVINO does not hold what it shares
        for index, x in enumerate(held):
            self._request.set_input_tensor(index, _shared(x))
        try:
            self._request.infer(share_outputs=True)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot run this: {_last_line(error)}") from error
        return tuple(y.clone() for y in self._outputs)


class _Free:
    """A request for any shape."""

    def __init__(self, compiled: Any) -> None:  # an openvino.CompiledModel
        self._request = compiled.create_infer_request()
        self._count = len(compiled.outputs)

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        arrays = [x.detach().contiguous().numpy() for x in inputs]
        try:
            results = self._request.infer(arrays, share_inputs=True)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot run this: {_last_line(error)}") from error
        outputs = tuple(torch.from_numpy(results[index]) for index in range(self._count))
        if any(y.numel() == 0 for y in outputs):
            raise EngineError("OpenVINO cannot run this: an image is too small for a window")
        return outputs


def _shared(tensor: Tensor) -> Any:  # an openvino.Tensor
    import openvino

    return openvino.Tensor(tensor.numpy(), shared_memory=True)
