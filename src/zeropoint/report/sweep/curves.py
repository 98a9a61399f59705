"""What `sweep` returns: the errors over the scale, and where each calibrator would put it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Column
from torch import Tensor

from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.error import sqnr_db
from zeropoint.render import as_text, table
from zeropoint.report.sweep.tensor import Activations, Rounding, Tensors, Weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Errors:
    """The error, float - quantized, over all elements: one number (S,) for each scale.

    Flooring makes its mean positive. `sqnr_db` is infinite without an error.
    """

    max: Array
    min: Array
    mean: Array
    rms: Array
    sqnr_db: Array

    @property
    def largest(self) -> Array:
        """The greatest |error|."""
        return np.maximum(self.max, -self.min)

    def to_dict(self) -> dict[str, list[float | None]]:
        """The same as JSON data: infinite numbers are None."""
        return {
            field.name: [_finite(number) for number in getattr(self, field.name).tolist()]
            for field in fields(self)
        }


@dataclass(frozen=True, eq=False)
class Sweep:
    """One tensor rounded with each of `scales`, all else float, and what that does.

    `layer_errors` are those of the layer's own output (of its `channel` alone, if one was swept),
    `output_errors` those of the network's. `marks` has the scale that each calibrator would choose,
    with the errors there, in the same order; at the calibrator's own zero point, which for affine
    data of two signs may lie beside the curve. It is empty where the integers have a step of their
    own.
    """

    layer: str
    of: Tensors
    rounding: Rounding
    bits: int
    channel: int | None
    samples: int
    scales: Array
    layer_errors: Errors
    output_errors: Errors
    marks: Mapping[Calibrator, float]
    layer_errors_at_marks: Errors
    output_errors_at_marks: Errors

    @property
    def best_for_layer(self) -> float:
        """The swept scale with the least rms error of the layer's output."""
        return float(self.scales[least(self.layer_errors.rms)])

    @property
    def best_for_output(self) -> float:
        """The swept scale with the least rms error of the network's output."""
        return float(self.scales[least(self.output_errors.rms)])

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data: calibrators as they print, infinite numbers as None."""
        return {
            "layer": self.layer,
            "of": repr(self.of),
            "rounding": str(self.rounding),
            "bits": self.bits,
            "channel": self.channel,
            "samples": self.samples,
            "scales": self.scales.tolist(),
            "layer_errors": self.layer_errors.to_dict(),
            "output_errors": self.output_errors.to_dict(),
            "marks": {repr(calibrator): scale for calibrator, scale in self.marks.items()},
            "layer_errors_at_marks": self.layer_errors_at_marks.to_dict(),
            "output_errors_at_marks": self.output_errors_at_marks.to_dict(),
            "best_for_layer": self.best_for_layer,
            "best_for_output": self.best_for_output,
        }

    def plot(self) -> "Figure":
        """A matplotlib figure: rms and greatest error over the scale, with the calibrators."""
        from zeropoint.report.sweep.plot import figure  # matplotlib is an extra

        return figure(self)

    @property
    def title(self) -> str:
        """What was swept, in words."""
        what = "activations" if isinstance(self.of, Activations) else "weights"
        part = "" if self.channel is None else f" of channel {self.channel}"
        step = self.of.step if isinstance(self.of, Weights) else None
        made = "" if step is None else f" with a step of {step:.4g}"
        return f"{self.layer or 'model'}: {what}{part}, {self.bits} bits, {self.rounding}{made}"

    def __rich__(self) -> RenderableType:
        """The ends of the sweep, its best scales, and the calibrators, by scale."""
        head = ("", "scale", "layer max |e|", "mean e", "rms e", "SQNR", "output rms e", "SQNR")
        columns = [Column(n, justify="right" if n else "left") for n in head]
        rows = [
            *_rows(self._points(), self.scales, self.layer_errors, self.output_errors),
            *_rows(
                {i: "\n".join(names) for i, names in names_by_scale(self.marks).items()},
                np.array(list(self.marks.values())),
                self.layer_errors_at_marks,
                self.output_errors_at_marks,
            ),
        ]
        return table(columns, (cells for _, cells in sorted(rows)), title=self.title)

    def __str__(self) -> str:
        return as_text(self.__rich__())

    def _points(self) -> dict[int, str]:
        """The rows of the sweep that the table shows, with their names."""
        by_scale = np.argsort(self.scales, kind="stable")
        names = {int(by_scale[0]): "least", int(by_scale[-1]): "greatest"}
        for_layer, for_output = least(self.layer_errors.rms), least(self.output_errors.rms)
        names[for_layer] = "best for the layer"
        names[for_output] = "best" if for_layer == for_output else "best for the output"
        return names


def _rows(
    names: Mapping[int, str], scales: Array, layer: Errors, output: Errors
) -> list[tuple[float, tuple[str, ...]]]:
    return [
        (
            float(scales[i]),
            (
                name,
                f"{scales[i]:.4g}",
                f"{layer.largest[i]:.3g}",
                f"{layer.mean[i]:+.2g}",
                f"{layer.rms[i]:.3g}",
                f"{layer.sqnr_db[i]:.1f} dB",
                f"{output.rms[i]:.3g}",
                f"{output.sqnr_db[i]:.1f} dB",
            ),
        )
        for i, name in names.items()
    ]


def names_by_scale(marks: Mapping[Calibrator, float]) -> dict[int, list[str]]:
    """The place of the first calibrator at each scale, with the names of all that are there."""
    scales = list(marks.values())
    names: dict[int, list[str]] = {}
    for calibrator, scale in marks.items():
        names.setdefault(scales.index(scale), []).append(repr(calibrator))
    return names


def least(rms: Array) -> int:
    """Where the error is least; NaN, where a network overflows, is no candidate."""
    return int(np.argmin(np.where(np.isnan(rms), np.inf, rms)))


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


@dataclass
class Tally:
    """What is summed up over batches for one scale."""

    high: float = -math.inf
    low: float = math.inf
    total: float = 0.0
    squares: float = 0.0
    signal: float = 0.0
    count: int = 0

    def add(self, expected: Sequence[Tensor], found: Sequence[Tensor]) -> None:
        for real, approximate in zip(expected, found, strict=True):
            error = real - approximate
            low, high = (bound.item() for bound in torch.aminmax(error))
            self.low, self.high = min(self.low, low), max(self.high, high)
            self.total += error.sum(dtype=torch.float64).item()
            self.squares += error.square_().sum(dtype=torch.float64).item()
            self.signal += real.square().sum(dtype=torch.float64).item()
            self.count += real.numel()


def errors_of(tallies: Iterable[Tally]) -> Errors:
    tallies = list(tallies)
    return Errors(
        max=_array(tally.high for tally in tallies),
        min=_array(tally.low for tally in tallies),
        mean=_array(tally.total / (tally.count or 1) for tally in tallies),
        rms=_array(math.sqrt(tally.squares / (tally.count or 1)) for tally in tallies),
        sqnr_db=_array(sqnr_db(tally.signal, tally.squares) for tally in tallies),
    )


def _array(numbers: Iterable[float]) -> Array:
    return np.array(list(numbers), dtype=np.float64)
