"""The plan: what each value of a float graph becomes.

    Own          a grid of its own: chosen by a calibrator, for an activation or a weight
    Shared       the grid of another value, because an operator only moves integers between them
    Bias         int32 at the scale of the accumulator: equation (2)
    Accumulator  int32, left as it is and multiplied out at the end: logits, or what an island reads

A float value has no entry.

Nodes run in integers when all their operands and results have integers to run on; `reasons` says
of each node that does not, why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.table import Table  # the type alone: tables are made in render.py
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.render import as_text, table


@dataclass(frozen=True)
class Own:
    """A calibrated grid, and the range of the data that it was chosen for."""

    params: QParams
    calibrator: str


@dataclass(frozen=True)
class Shared:
    """The grid of the value `source`."""

    params: QParams
    source: str


@dataclass(frozen=True)
class Bias:
    """int32 at the scale s_x s_w of the accumulator."""

    params: QParams


@dataclass(frozen=True)
class Accumulator:
    """The int32 accumulator itself, at scale s_x s_w."""

    params: QParams


Entry = Own | Shared | Bias | Accumulator


@dataclass(frozen=True)
class Plan:
    """An entry for each quantized value by name, and a reason for each float node by its output.

    Float nodes without a reason are those that follow an accumulator out: `leaving`. Channels of
    the values in `levels` are in units of their own (passes/equalize.py), and so are their grids.
    """

    entries: Mapping[str, Entry]
    reasons: Mapping[str, str]
    leaving: frozenset[str] = frozenset()
    levels: Mapping[str, Tensor] = field(default_factory=dict)
    narrow: Mapping[str, int] = field(default_factory=dict)
    """Weights, and in how many channels they have 7 bits, since the CPU would saturate with 8."""

    def params(self, name: str) -> QParams | None:
        """The grid of a value; None if it stays float."""
        entry = self.entries.get(name)
        return None if entry is None else entry.params

    def __rich__(self) -> Table:
        """One row a value: how it gets its grid, type, scale, zero point, real range."""
        head = ("value", "grid", "type", "scale", "zero point", "range")
        rows = [self._row(name, entry) for name, entry in self.entries.items()]
        rows += [(name, "float", "f32", "", "", reason) for name, reason in self.reasons.items()]
        return table(head, rows, title="Plan")

    def _row(self, name: str, entry: Entry) -> tuple[str, ...]:
        grid = _origin(entry) + (", channels equalized" if name in self.levels else "")
        if name in self.narrow:
            grid += f", 7 bits in {self.narrow[name]} channels (no VNNI)"
        return (name, grid, *_cells(entry.params))

    def __str__(self) -> str:
        return as_text(self)


def _origin(entry: Entry) -> str:
    if isinstance(entry, Own):
        return entry.calibrator
    return f"of {entry.source}" if isinstance(entry, Shared) else type(entry).__name__.lower()


def _cells(params: QParams) -> tuple[str, str, str, str]:
    low, high = params.real_range
    if params.axis is None:
        scale, zero = f"{params.scale.item():.6g}", f"{params.zero_point.item()}"
    else:
        scale = f"{params.scale.min().item():.3g} .. {params.scale.max().item():.3g}"
        zeros = params.zero_point
        zero = f"{zeros.min().item()} .. {zeros.max().item()}" if bool(zeros.any()) else "0"
    extent = f"[{low.min().item():.4g}, {high.max().item():.4g}]"
    return str(params.type), scale, zero, "" if params.type.bits == 32 else extent
