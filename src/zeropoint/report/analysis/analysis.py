"""What `analyze` returns: where a network loses accuracy, why, and what to do about it.

At every unit (a layer in integers, or a grid that a float value is put on) the error of the result
is taken apart into vectors that add up to it:

    inherited   what the errors before it become in it
    weight      its weights are rounded
    bias        its bias is rounded
    clipping    its result is cut off at the ends of its grid
    rounding    its result is rounded to its grid

own = weight + bias + clipping + rounding, total = inherited + own. Energies are sums of squares
over all images; the parts' energies add up only as far as the parts are uncorrelated.
"""

import difflib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from zeropoint.arithmetic.qparams import QParams
from zeropoint.errors import ProgramError
from zeropoint.observe.error import sqnr_db
from zeropoint.observe.statistics import Statistics
from zeropoint.recipe import Recipe
from zeropoint.render import as_text, lines
from zeropoint.report.analysis.finding import Finding, finite
from zeropoint.report.analysis.table import findings_text, layers_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Noise:
    """The energy of each part of an error, relative to the energy of the signal."""

    inherited: float
    weight: float
    bias: float
    clipping: float
    rounding: float


@dataclass(frozen=True)
class Channels:
    """The greatest |y| of each channel in float; channels of zeros; channels far above the rest."""

    maxima: tuple[float, ...] = ()
    dead: tuple[int, ...] = ()
    outliers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Effect:
    """What one unit does to the network's outputs, measured.

    `alone_db` is their SQNR with only this unit on, `without_db` with all but this one; agreements
    are shares of samples with the decision of the float network, None where outputs are no scores.
    """

    alone_db: float
    without_db: float
    alone_agreement: float | None
    without_agreement: float | None


@dataclass(frozen=True)
class LayerAnalysis:
    """The error at one unit.

    `value` is its name in the graph, `kind` is "layer", "input" or "fence" (a float value that
    integers read). `grid` is None for an accumulator, which is not narrowed. `total` and `own` are
    energies relative to the signal's, as in `noise`. `saturated` is the share of elements beyond
    the grid. `scatter` holds pairs of one element in float and in integers (as a real number).
    """

    value: str
    layer: str
    operator: str
    line: str
    kind: str
    grid: QParams | None
    elements: int
    total: float
    own: float
    noise: Noise
    saturated: float | None
    codes_used: int | None
    codes: int | None
    channels: Channels
    scatter: tuple[tuple[float, float], ...]
    effect: Effect | None = None
    gain_db: float | None = None
    """What the outputs gain without this unit's error; None if `ranking` was not asked for."""

    @property
    def sqnr_db(self) -> float:
        """Decibels of the signal over the whole error."""
        return sqnr_db(1.0, self.total)

    @property
    def own_db(self) -> float:
        """Decibels of the signal over what this unit adds."""
        return sqnr_db(1.0, self.own)

    @property
    def inherited_db(self) -> float:
        """Decibels of the signal over what came in with the operands."""
        return sqnr_db(1.0, self.noise.inherited)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data: infinite numbers are None."""
        return {
            "value": self.value,
            "layer": self.layer,
            "operator": self.operator,
            "line": self.line,
            "kind": self.kind,
            "grid": None if self.grid is None else _grid_data(self.grid),
            "elements": self.elements,
            "sqnr_db": finite(self.sqnr_db),
            "own_db": finite(self.own_db),
            "inherited_db": finite(self.inherited_db),
            "noise": {f.name: finite(getattr(self.noise, f.name)) for f in fields(self.noise)},
            "saturated": self.saturated,
            "codes_used": self.codes_used,
            "codes": self.codes,
            "channels": {f.name: list(getattr(self.channels, f.name)) for f in fields(Channels)},
            "alone_db": finite(self.effect.alone_db if self.effect else None),
            "without_db": finite(self.effect.without_db if self.effect else None),
            "alone_agreement": self.effect.alone_agreement if self.effect else None,
            "without_agreement": self.effect.without_agreement if self.effect else None,
            "gain_db": finite(self.gain_db),
            "scatter": [list(pair) for pair in self.scatter],
        }


@dataclass(frozen=True)
class Analysis:
    """Every unit in the order of the network, and the findings, the most rewarding first.

    `output_sqnr_db` and `agreement` (None where outputs are no scores) are of the whole program.
    """

    samples: int
    output_sqnr_db: float
    agreement: float | None
    layers: tuple[LayerAnalysis, ...]
    findings: tuple[Finding, ...]
    statistics: Statistics | None = None
    """What every float32 activation was on these samples: quantize() takes it for a loader."""

    @property
    def ranking(self) -> tuple[LayerAnalysis, ...]:
        """The units by what the outputs gain without them; by their own error if not measured."""
        return tuple(sorted(self.layers, key=_cost, reverse=True))

    def layer(self, name: str) -> LayerAnalysis:
        """The unit of a layer's path or of a value's name; ProgramError with the nearest one."""
        for unit in self.layers:
            if name in (unit.value, unit.layer):
                return unit
        names = [known for unit in self.layers for known in (unit.layer, unit.value) if known]
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ProgramError(f"no layer that adds an error is named {name!r}{hint}")

    def improved(self, recipe: Recipe) -> Recipe:
        """The recipe with every change that should gain: of two for the same field, the better.

        Great errors hide small ones: quantize with it, and analyze again.
        """
        changed: set[tuple[str, tuple[str, str]]] = set()
        for finding in self.findings:
            change = finding.change
            if change is None or not _is_gain(finding):
                continue
            touched = {(change.key, field) for field in change.touches}
            if changed.isdisjoint(touched):
                recipe = change.applied_to(recipe)
                changed |= touched
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data: infinite numbers are None."""
        return {
            "samples": self.samples,
            "output_sqnr_db": finite(self.output_sqnr_db),
            "agreement": self.agreement,
            "layers": [unit.to_dict() for unit in self.layers],
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def plot(self) -> "Figure":
        """A matplotlib figure: each unit's error by its parts, and its SQNR."""
        from zeropoint.report.analysis.plot import figure  # matplotlib is an extra

        return figure(self)

    def __rich__(self) -> RenderableType:
        return lines(layers_table(self), findings_text(self))

    def __str__(self) -> str:
        return as_text(self.__rich__())


def _cost(unit: LayerAnalysis) -> float:
    return -unit.own_db if unit.gain_db is None else unit.gain_db


def _is_gain(finding: Finding) -> bool:
    gain = finding.own_gain_db if finding.output_gain_db is None else finding.output_gain_db
    return gain is not None and gain > 0


def _grid_data(grid: QParams) -> dict[str, Any]:
    return {
        "type": str(grid.type),
        "scale": grid.scale.tolist(),
        "zero_point": grid.zero_point.tolist(),
        "low": grid.low,
        "high": grid.high,
        "axis": grid.axis,
    }
