"""What each unit does to the network's outputs, measured: with it alone, and with all but it.

    float nodes before it  -- this unit on -- float nodes after it         alone
    integer nodes before it -- this unit off -- integer nodes after it     without

Both begin where the unit acts, from the values that the float walk and the integer walk have there:
what stands before it is never computed again, so all units of an L-node network cost about L / 2
forward passes each way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from zeropoint.graph.walk import Kernel, advance, read
from zeropoint.observe.error import sqnr_db
from zeropoint.simulation import Simulation, Unit


@dataclass
class OutputError:
    """Energies of the outputs and of their error over batches, and how many decisions agree."""

    signal: float = 0.0
    noise: float = 0.0
    samples: int = 0
    agreed: int = 0
    decides: bool = True

    @property
    def sqnr_db(self) -> float:
        """Decibels of the outputs' power over that of their error."""
        return sqnr_db(self.signal, self.noise)

    @property
    def agreement(self) -> float | None:
        """The share of samples with the same greatest output; None where outputs are no scores."""
        return self.agreed / self.samples if self.decides and self.samples else None

    def add(self, expected: Sequence[Any], found: Sequence[Any]) -> None:
        """Count one batch of outputs; those that are no real numbers have no error."""
        for real, approximate in zip(expected, found, strict=True):
            if isinstance(real, Tensor) and real.is_floating_point():
                self.signal += real.double().square().sum().item()
                self.noise += (real.double() - approximate).square().sum().item()
        first = expected[0]
        self.samples += len(first)
        self.decides &= len(expected) == 1 and first.ndim == 2 and first.shape[1] > 1
        if self.decides:
            self.agreed += int((first.argmax(1) == found[0].argmax(1)).sum())


@dataclass
class Effects:
    """The errors of the outputs with one unit alone, and with all but one, by the unit's value."""

    simulation: Simulation
    alone: dict[str, OutputError] = field(default_factory=dict)
    without: dict[str, OutputError] = field(default_factory=dict)

    def measure(
        self,
        unit: Unit,
        real: Mapping[str, Any],
        quantized: Mapping[str, Any],
        expected: Sequence[Any],
    ) -> None:
        """Add one batch, from the live values of both walks before node `unit.start`."""
        alone = self.simulation.kernel(lambda name: name == unit.value)
        without = self.simulation.kernel(lambda name: name != unit.value)
        for errors, live, kernel in ((self.alone, real, alone), (self.without, quantized, without)):
            error = errors.setdefault(unit.value, OutputError())
            error.add(expected, self._outputs(unit, live, kernel))

    def _outputs(self, unit: Unit, live: Mapping[str, Any], kernel: Kernel) -> tuple[Any, ...]:
        graph, fork = self.simulation.graph, dict(live)
        advance(graph, fork, unit.start, len(graph.nodes), kernel=kernel)
        return read(graph, graph.outputs, fork)
