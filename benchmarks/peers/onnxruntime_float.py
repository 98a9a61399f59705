"""ONNX Runtime, float32."""

import tempfile
from pathlib import Path

from torch import Tensor, nn

from benchmarks.peers.onnxruntime_session import export_onnx, open_session
from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """The model exported and opened, for the example's batch size only."""
    del calibration
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.onnx"
        export_onnx(model, example, path)
        return open_session(path, threads)
