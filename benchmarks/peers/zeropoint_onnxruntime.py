"""zeropoint's program, exported to ONNX and run by ONNX Runtime as its own models are."""

import tempfile
from pathlib import Path

from torch import Tensor, nn

from benchmarks.peers.onnxruntime_session import open_session
from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """The program for that engine, which fuses no additions, exported for any batch size."""
    del example
    import zeropoint as zp

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        zp.quantize(model, calibration, engine="onnxruntime").export(path)
        return open_session(path, threads)
