"""What an executor is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor


class Executor(ABC):
    """Runs one program. Threads may call `run` at the same time."""

    @abstractmethod
    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The program's outputs for float32 inputs, in the program's order."""
