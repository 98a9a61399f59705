"""From an OpenVINO model to a callable, the same way for the float and the int8 row."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.peers.peer import Runner

if TYPE_CHECKING:
    import openvino


def open_request(model: "openvino.Model", example: Tensor, threads: int) -> Runner:
    """The model on the CPU for inputs of the example's shape, set up for latency."""
    import openvino

    model.reshape(list(example.shape))  # a free batch size costs it time on every call
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # Where the CPU has bfloat16 OpenVINO takes it for float32 by default.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.compile_model(model, "CPU", settings).create_infer_request()

    def run(x: Tensor) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        # Shared: the engine reads the tensor's memory and lends its own, nothing is copied.
        outputs = request.infer(x.numpy(), share_inputs=True, share_outputs=True)
        found: list[NDArray[np.float32]] = [outputs[place] for place in range(len(outputs))]
        return found if len(found) > 1 else found[0]

    return run
