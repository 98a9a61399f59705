"""The openvino executor: the program as an OpenVINO model, compiled for the CPU."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.execute.executor import Executor
from zeropoint.export.openvino import to_openvino
from zeropoint.export.openvino.writing import refusal
from zeropoint.program.program import Program

MISSING = "the package openvino is not installed: pip install 'zeropoint[openvino]'"


def why_unusable() -> str | None:
    """Why OpenVINO cannot be used on this machine; None if it can."""
    try:
        import openvino  # noqa: F401
    except ImportError:
        return MISSING
    return None


class OpenVino(Executor):
    """A program compiled by OpenVINO's CPU plugin, with as many threads as torch has now.

    EngineError says what it cannot run. The plugin compiles for the first shapes of an input that
    it sees; each thread of the caller has a request of its own.
    """

    def __init__(self, program: Program, *, path: Path | None = None) -> None:
        reason = why_unusable() or refusal(program)
        if reason is not None:
            raise EngineError(f"the openvino engine cannot run this: {reason}")
        import openvino

        core = openvino.Core()
        self._model = core.read_model(path) if path else to_openvino(program)
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            # Where the CPU has bfloat16 OpenVINO takes it for float32 by default.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._core, self._settings = core, settings
        self._outputs = len(program.graph.outputs)
        self._compiled: dict[tuple[torch.Size, ...], Any] = {}
        self._local = threading.local()

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The program's outputs."""
        request = self._request(tuple(x.shape for x in inputs))
        arrays = [x.detach().contiguous().numpy() for x in inputs]
        results = request.infer(arrays, share_inputs=True)
        return tuple(torch.from_numpy(results[index]) for index in range(self._outputs))

    def _request(self, shapes: tuple[torch.Size, ...]) -> Any:  # an openvino.InferRequest
        requests: dict[Any, Any] = self._local.__dict__
        if shapes not in requests:
            if shapes not in self._compiled:
                # A free size would cost it time on every call.
                model = self._model.clone()
                model.reshape({i: list(shape) for i, shape in enumerate(shapes)})
                self._compiled[shapes] = self._core.compile_model(model, "CPU", self._settings)
            requests[shapes] = self._compiled[shapes].create_infer_request()
        return requests[shapes]
