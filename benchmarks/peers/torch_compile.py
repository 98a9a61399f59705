"""PyTorch float32 through Inductor, weights frozen: batch norm folded, convolutions prepacked."""

import copy
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch._inductor import config as inductor

from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """The compiled model, for the example's batch size only. Takes a C++ compiler and its time."""
    del calibration, threads
    compiled = torch.compile(copy.deepcopy(model), dynamic=False)

    def run(x: Tensor) -> Tensor:
        with torch.no_grad():  # freezing needs it when compiling, the guards when running
            logits: Tensor = compiled(x)
            return logits

    with frozen():
        run(example)
    return run


def frozen() -> AbstractContextManager[None]:
    """A block whose compilations take the weights as constants, as TORCHINDUCTOR_FREEZING=1 does.

    `torch.compile(options={"freezing": True})` would be too late: Dynamo looks at the setting
    first, and passes the weights as inputs.
    """
    block: AbstractContextManager[None] = inductor.patch(freezing=True)
    return block
