"""Two walks over one graph in step: the float values, and those of the integer program.

Before each node both sets of live values are shown to whoever wants to go on from there; after it,
the error of the unit that the node is, if it is one, is taken apart. No more than the live values
of both walks is ever held.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, simulate
from zeropoint.errors import CalibrationError
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.value import Plain
from zeropoint.graph.walk import advance, read
from zeropoint.observe.histogram import NotFinite
from zeropoint.observe.observation import Observation
from zeropoint.report.analysis.tally import Stages, Tally
from zeropoint.simulation import Simulation, every, only_moves

Before = Callable[[int, Mapping[str, Any], Mapping[str, Any]], None]
"""Called with a node's index and the live values of both walks before it."""


class Lockstep:
    """The tallies of all units over the batches that it ran."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.observations = {name: Observation() for name in _activations(simulation.graph)}
        self.tallies = {
            unit.value: Tally(
                simulation.grid(unit.value),
                self._channel_axis(unit.value),
                self.observations[unit.value],
            )
            for unit in simulation.units
        }
        self._real: dict[str, Any] = {}
        self._kernel = simulation.kernel(every)

    def run(self, inputs: Sequence[Tensor], before: Before) -> tuple[Any, ...]:
        """Run one batch; returns the outputs of the integer walk."""
        graph = self.simulation.graph
        real: dict[str, Any] = dict(zip(graph.inputs, inputs, strict=True))
        quantized = dict(real)
        self._real = {}
        for name, x in real.items():
            self._observe(name, x)
            self._listen(name, x)
        for index in range(len(graph.nodes)):
            before(index, real, quantized)
            self._real = {}
            advance(graph, real, index, index + 1, listener=self._observe)
            advance(graph, quantized, index, index + 1, listener=self._listen, kernel=self._compute)
        return read(graph, graph.outputs, quantized)

    def _compute(self, node: Node, operands: Sequence[Any]) -> Any:
        simulation = self.simulation
        if not simulation.runs_in_integers(node) or only_moves(node):
            return self._kernel(node, operands)
        operands = simulation.fenced(node, operands, every)
        result = node.op.run(*operands)
        weighted = biased = result
        if simulation.has_weight(node):
            weighted = node.op.run(*simulation.with_corrected(node, operands))
            biased = node.op.run(*simulation.with_rounded(node, operands))
        stages = self._stages(node.output, result, weighted, biased)
        self.tallies[node.output].add(stages)
        return stages.narrowed

    def _observe(self, name: str, x: Any) -> None:
        """Look at a float value, and keep it for the unit that it may belong to."""
        self._real[name] = x
        if name not in self.observations:
            return
        try:
            self.observations[name].add(x)
        except NotFinite as error:
            node = self.simulation.graph.producers.get(name)
            layer = name if node is None else node.origin.layer or name
            raise CalibrationError(
                f"the output of {layer} is not finite on these images: the float model overflows "
                "there; check its weights and the normalization of the images"
            ) from error

    def _listen(self, name: str, x: Any) -> None:
        """Tally a fence; its readers put the value on the grid themselves."""
        if name in self.simulation.fences:
            self.tallies[name].add(self._stages(name, x, x, x))

    def _stages(self, name: str, result: Tensor, weighted: Tensor, biased: Tensor) -> Stages:
        grid = self.simulation.grid(name)
        clamped = biased if grid is None else _clamped(biased, grid)
        narrowed = biased if grid is None else simulate(biased, grid)
        return Stages(self._real[name], result, weighted, biased, clamped, narrowed)

    def _channel_axis(self, name: str) -> int | None:
        """The axis of the channels of (N, C, H, W) or (..., C); None for what has no channels."""
        rank = len(self.simulation.graph.values[name].shape)
        return 1 if rank == 4 else rank - 1 if rank > 1 else None


def _activations(graph: Graph) -> list[str]:
    """The values of real numbers that are computed, or given."""
    return [
        name
        for name, value in graph.values.items()
        if value.type == Plain(torch.float32) and name not in graph.constants
    ]


def _clamped(x: Tensor, grid: QParams) -> Tensor:
    low, high = grid.real_range
    return x.clamp(low.item(), high.item())
