"""PyTorch as it comes: float32, NCHW, one operator after the other."""

import torch
from torch import Tensor, nn

from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """The model itself under `inference_mode`."""
    del calibration, example, threads  # threads: set once for all of torch, by the caller

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(x)
            return logits

    return run
