"""OpenVINO, int8 by NNCF's post-training quantization of the PyTorch model."""

import copy
import logging

from torch import Tensor, nn

from benchmarks.peers.openvino_request import open_request
from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """The model quantized with NNCF's defaults, converted and compiled for the example's batch."""
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    quantized = nncf.quantize(
        copy.deepcopy(model), nncf.Dataset(calibration), subset_size=len(calibration)
    )
    converted = openvino.convert_model(quantized, example_input=example[:1])
    return open_request(converted, example, threads)
