"""zeropoint's program, exported to OpenVINO IR and run by OpenVINO as its own models are."""

import tempfile
from pathlib import Path

from torch import Tensor, nn

from benchmarks.peers.openvino_request import open_request
from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """`zp.quantize(model, calibration).export("model.xml")`, compiled for the example's batch."""
    import openvino

    import zeropoint as zp

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        zp.quantize(model, calibration, engine="openvino").export(path)
        return open_request(openvino.Core().read_model(path), example, threads)
