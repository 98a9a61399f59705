"""The evidence about every unit, put together from what was measured."""

from collections.abc import Mapping, Sequence

from zeropoint.graph.graph import Origin
from zeropoint.ops.concat import Concat
from zeropoint.recipe import covers
from zeropoint.report.analysis.analysis import LayerAnalysis
from zeropoint.report.analysis.tally import Tally
from zeropoint.report.checks.evidence import Case, Evidence, OutputNoise
from zeropoint.report.checks.in_use import in_use
from zeropoint.simulation import Simulation, Unit


def make_case(
    simulation: Simulation,
    layers: Sequence[LayerAnalysis],
    tallies: Mapping[str, Tally],
    noises: Mapping[str, OutputNoise],
) -> Case:
    """The evidence; `noises` is empty if the effects on the outputs were not measured."""
    used = in_use(simulation)
    specs = used.specs if used else {}
    units = tuple(
        Evidence(
            unit,
            layer,
            tallies[unit.value],
            simulation,
            noises.get(unit.value),
            key=_key(simulation, unit),
            origin=_origin(simulation, unit),
            tied=_tied(simulation, unit),
            spec=specs.get(unit.value),
        )
        for unit, layer in zip(simulation.units, layers, strict=True)
    )
    return Case(simulation, units, used)


def _origin(simulation: Simulation, unit: Unit) -> Origin:
    """The layer whose recipe the unit follows: for an input, that of its first reader."""
    if unit.node is not None:
        return unit.node.origin
    readers = [n for n in simulation.graph.users[unit.value] if simulation.runs_in_integers(n)]
    return readers[0].origin


def _key(simulation: Simulation, unit: Unit) -> str | None:
    """The override that speaks of this unit, and of no other that goes its own way.

    What the outermost forward() computes itself has the path "" of the outermost module.
    """
    if unit.node is None:
        return unit.value
    key = unit.node.origin.layer
    covered = [
        other
        for other in simulation.units
        if other.node is not None and covers(key, other.node.origin)
    ]
    alone = all(other == unit or _tied_to(simulation, other) == unit.value for other in covered)
    return key if alone and not _kept_float(simulation, unit) else None


def _kept_float(simulation: Simulation, unit: Unit) -> bool:
    """True for a fence after a layer that has no recipe: its readers' decides."""
    return simulation.program.islands.get(unit.value) == "kept float by the recipe"


def _tied(simulation: Simulation, unit: Unit) -> bool:
    return _tied_to(simulation, unit) is not None


def _tied_to(simulation: Simulation, unit: Unit) -> str | None:
    """The concatenation whose grid the unit writes on; None if it has a grid of its own."""
    reader = simulation.graph.only_user(unit.value)
    if reader is None or not isinstance(reader.op, Concat):
        return None
    own, others = simulation.grid(unit.value), simulation.grid(reader.output)
    return reader.output if own is not None and own == others else None
