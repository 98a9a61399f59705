"""What an engine is to the benchmark: a name and a function that prepares a network for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

# NCHW float32 tensor in, logits out, finished when the call returns. A tensor or a NumPy array, or
# several of a network with several outputs.
Runner = Callable[[Tensor], Any]  # Any: each engine has its own kind of array


class Prepare(Protocol):
    def __call__(
        self, model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
    ) -> Runner:
        """The network as this engine runs it, for inputs of the example's shape.

        The model is in eval mode and is not changed. Float engines leave the calibration
        batches alone. Errors pass through: the caller turns them into a row of the table.
        """


@dataclass(frozen=True)
class Peer:
    """One row of the table. `distribution` names the package whose version is reported."""

    name: str
    prepare: Prepare
    distribution: str
