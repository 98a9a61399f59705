"""PyTorch float32 with weights and activations in the layout its CPU kernels prefer."""

import copy

import torch
from torch import Tensor, nn

from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """A copy of the model in channels_last. Turning the NCHW input around is timed with it."""
    del calibration, example, threads
    turned = in_channels_last(model)

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = turned(x.contiguous(memory_format=torch.channels_last))
            return logits

    return run


def in_channels_last(model: nn.Module) -> nn.Module:
    """A copy of the model whose 4d parameters lie in channels_last."""
    turned: nn.Module = copy.deepcopy(model).to(  # type: ignore[call-overload]  # torch's stub
        memory_format=torch.channels_last  # lacks this documented argument
    )
    return turned
