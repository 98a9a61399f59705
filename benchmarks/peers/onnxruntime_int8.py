"""ONNX Runtime's static quantization: QDQ, uint8 activations, int8 weights per channel."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.images import in_batches
from benchmarks.peers.onnxruntime_session import INPUT, export_onnx, open_session
from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """The model exported, pre-processed, quantized by min-max and opened.

    `reduce_range` is off: its 7-bit weights are meant for machines without VNNI.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        exported, ready, quantized = (
            Path(folder) / f"{stage}.onnx" for stage in ("exported", "ready", "quantized")
        )
        export_onnx(model, example, exported)
        quant_pre_process(str(exported), str(ready))
        quantize_static(
            str(ready),
            str(quantized),
            Feed(in_batches(calibration, len(example))),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=False,
        )
        return open_session(quantized, threads)


class Feed:
    """What ONNX Runtime calls a CalibrationDataReader; it asks for no base class, only this."""

    def __init__(self, batches: Iterator[Tensor]) -> None:
        self.batches = batches

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch by input name, None after the last."""
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch.numpy()}
