"""Everything that is measured of a program on some images, and the analysis made of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.batches import Inputs
from zeropoint.graph.channels_last import as_channels_last, channels_last
from zeropoint.graph.graph import Graph
from zeropoint.graph.walk import walk
from zeropoint.observe.observation import Observation
from zeropoint.observe.statistics import Statistics
from zeropoint.ops.title import title
from zeropoint.program.program import Program
from zeropoint.report.analysis.analysis import Analysis, Channels, Effect, LayerAnalysis, Noise
from zeropoint.report.analysis.effects import Effects, OutputError
from zeropoint.report.analysis.lockstep import Lockstep
from zeropoint.report.analysis.tally import Tally
from zeropoint.report.checks import findings
from zeropoint.report.checks.case import make_case
from zeropoint.report.checks.evidence import OutputNoise, decibels
from zeropoint.simulation import Simulation, Unit

AT_ONCE = 16
"""Images in one walk: a dozen tensors of the size of the widest layer are held at a time."""

OUTLIER = 8.0
"""A channel is an outlier if it reaches so many times as far as the median of the live ones."""


class Survey:
    """A float graph and the program made of it, side by side on one batch after the other."""

    def __init__(
        self,
        graph: Graph,
        program: Program,
        *,
        ranking: bool = True,
    ) -> None:
        """ProgramError if the program was made of another graph."""
        self.simulation = Simulation(channels_last(graph), program)
        self.outputs = OutputError()
        self._lockstep = Lockstep(self.simulation)
        self._effects = Effects(self.simulation) if ranking else None
        self._starting: dict[int, list[Unit]] = {}
        for unit in self.simulation.units:
            self._starting.setdefault(unit.start, []).append(unit)

    @property
    def observations(self) -> Mapping[str, Observation]:
        """What every float32 activation was so far."""
        return self._lockstep.observations

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """The sums of each unit so far, by its value."""
        return self._lockstep.tallies

    def add(self, inputs: Inputs) -> None:
        """Measure one batch, in pieces of a size that memory can take."""
        fast = [as_channels_last(x) for x in inputs]
        with torch.inference_mode():
            for start in range(0, len(fast[0]), AT_ONCE):
                self._add([x[start : start + AT_ONCE] for x in fast])

    def _add(self, inputs: Sequence[Tensor]) -> None:
        expected = walk(self.simulation.graph, inputs)
        effects = self._effects

        def before(index: int, real: Mapping[str, Any], quantized: Mapping[str, Any]) -> None:
            if effects is None:
                return
            for unit in self._starting.get(index, ()):
                effects.measure(unit, real, quantized, expected)

        self.outputs.add(expected, self._lockstep.run(inputs, before))

    def analysis(self, statistics: Statistics | None = None) -> Analysis:
        """The analysis of all batches so far; `statistics` comes along."""
        tallies, units = self._lockstep.tallies, self.simulation.units
        layers = tuple(self._layer(unit, tallies[unit.value]) for unit in units)
        without = {} if self._effects is None else self._effects.without
        noises = {
            name: OutputNoise(self.outputs.noise, error.noise) for name, error in without.items()
        }
        return Analysis(
            samples=self.outputs.samples,
            output_sqnr_db=self.outputs.sqnr_db,
            agreement=self.outputs.agreement,
            layers=layers,
            findings=findings(make_case(self.simulation, layers, tallies, noises)),
            statistics=statistics,
        )

    def _layer(self, unit: Unit, tally: Tally) -> LayerAnalysis:
        effect = gain = None
        if self._effects is not None:
            effect = _effect(unit, self._effects)
            gain = decibels(self.outputs.noise, self._effects.without[unit.value].noise)
        return LayerAnalysis(
            value=unit.value,
            layer=_layer_name(unit),
            operator=_operator(unit),
            line="" if unit.node is None else unit.node.origin.line,
            kind="input" if unit.node is None else "fence" if unit.is_fence else "layer",
            grid=tally.grid,
            elements=tally.elements,
            total=_relative(tally.total, tally.signal),
            own=_relative(tally.own, tally.signal),
            noise=_noise(tally),
            saturated=None if tally.grid is None else tally.saturated / max(tally.elements, 1),
            codes_used=None if tally.codes is None else int((tally.codes > 0).sum()),
            codes=None if tally.grid is None else _codes(tally.grid),
            channels=_channels(tally),
            scatter=_pairs(tally),
            effect=effect,
            gain_db=gain,
        )


def _layer_name(unit: Unit) -> str:
    return unit.value if unit.node is None else unit.node.origin.layer or unit.value


def _operator(unit: Unit) -> str:
    if unit.node is None:
        return "input"
    return title(unit.node.op)


def _codes(grid: QParams) -> int:
    return grid.high - grid.low + 1


def _effect(unit: Unit, effects: Effects) -> Effect:
    alone, without = effects.alone[unit.value], effects.without[unit.value]
    return Effect(alone.sqnr_db, without.sqnr_db, alone.agreement, without.agreement)


def _noise(tally: Tally) -> Noise:
    parts = (tally.inherited, tally.weight, tally.bias, tally.clipping, tally.rounding)
    return Noise(*(_relative(part, tally.signal) for part in parts))


def _relative(energy: float, signal: float) -> float:
    if energy == 0:
        return 0.0
    return energy / signal if signal else float("inf")


def _channels(tally: Tally) -> Channels:
    if tally.maxima is None:
        return Channels()
    maxima = tally.maxima
    live = maxima[maxima > 0]
    median = live.median().item() if len(live) else 0.0
    return Channels(
        maxima=tuple(maxima.tolist()),
        dead=tuple((maxima == 0).nonzero().flatten().tolist()),
        outliers=tuple((maxima > OUTLIER * median).nonzero().flatten().tolist()),
    )


def _pairs(tally: Tally) -> tuple[tuple[float, float], ...]:
    return () if tally.pairs is None else tuple((a, b) for a, b in tally.pairs.tolist())
