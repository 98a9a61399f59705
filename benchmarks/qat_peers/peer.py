"""What the benchmark needs from a way to train: one function, in one file of this folder."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


class Prepare(Protocol):
    def __call__(self, model: nn.Module, calibration: list[Tensor]) -> nn.Module:
        """A module that is trained in the place of the model, in the mode for training.

        The model is not changed; batches have the size of those that are trained on. Errors pass
        through: the caller turns them into a row of the table.
        """


@dataclass(frozen=True)
class Peer:
    """One row of the table."""

    name: str
    prepare: Prepare
