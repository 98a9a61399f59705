"""From an ONNX file to a callable, the same way for ONNX Runtime's float and int8 rows."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.peers.peer import Runner

INPUT = "input"


def export_onnx(model: nn.Module, example: Tensor, path: Path) -> None:
    """Writes the model with the example's fixed batch size, its input named `INPUT`."""
    torch.onnx.export(model, (example,), str(path), input_names=[INPUT], dynamo=True, verbose=False)


def open_session(path: Path, threads: int) -> Runner:
    """The file's network on the CPU provider with all graph optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    # An idle pool spins, and would take a core away from whichever peer has its turn. This lets
    # it spin while a call is running, where it helps, and not after.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: Tensor) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = session.run(None, {name: x.numpy()})
        return outputs if len(outputs) > 1 else outputs[0]

    return run
