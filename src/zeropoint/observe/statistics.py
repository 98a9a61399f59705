"""What a model's activations were on some data: seen once, kept, merged, printed, quantized from.

    statistics = zp.observe(model, loader)           # one pass over the data
    print(statistics)                                # what each calibrator would make of each value
    statistics.save("model.statistics.safetensors")
    zp.quantize(model, zp.Statistics.load("model.statistics.safetensors"), recipe)

An activation takes 33 to 66 kB, however much data there were. Parts that saw the halves of a data
set merge to what would have seen the whole.
"""

import math
import os
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from rich.table import Column, Table
from rich.text import Text  # the type alone
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.container import Json
from zeropoint.errors import CalibrationError, RecipeError
from zeropoint.fields import Field
from zeropoint.observe.best import CALIBRATORS
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.histogram import BINS, FINEST, INDEX_BITS, Histogram
from zeropoint.observe.observation import Observation
from zeropoint.observe.statistics_choice import Choice, choice_of
from zeropoint.render import as_text, table, words
from zeropoint.sealed import Kind, dumps, loads, read, write
from zeropoint.version import VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Shape = tuple[int | str, ...]

COUNTS, EXTREMES, SUMS, LEVEL = ".counts", ".extremes", ".sums", ".level"
AGAIN = "observe this model: zp.observe(model, loader)"

MOST_COUNTED = 1 << 62
MOST_ELEMENTS = 1 << 31
LARGEST_EXPONENT = 128

KIND = Kind(
    key="zeropoint.statistics",
    format=2,
    foreign=(
        "holds no statistics of zeropoint; write some with zp.observe(model, loader).save(path)"
    ),
    again="observe again",
)


@dataclass(frozen=True)
class Observed:
    """One activation: the layer that writes it ("" for an input), its shape, what was seen."""

    layer: str
    shape: Shape
    observation: Observation


@dataclass(frozen=True)
class Statistics:
    """What every float32 activation of a model was on some samples, by the value's name.

    `input_shapes` are the shapes of the first batch; `weights` tells one set of weights from
    another by a number for each tensor; `zeropoint` is the version that observed. Channels of the
    values in `levels` were in units of their own (passes/equalize.py).
    """

    values: Mapping[str, Observed]
    input_shapes: tuple[tuple[int, ...], ...]
    samples: int
    weights: Mapping[str, int]
    zeropoint: str = VERSION
    levels: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def observations(self) -> Mapping[str, Observation]:
        """What was seen of each value."""
        return {name: value.observation for name, value in self.values.items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one .safetensors file, whole or not at all; FileError if it cannot be written."""
        write(KIND, path, *_as_file(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Statistics":
        """What save() wrote; FileError if the file is missing, damaged, altered or foreign."""
        return read(KIND, path, _from_file)

    @classmethod
    def loads(cls, content: bytes) -> "Statistics":
        """The same from bytes."""
        return loads(KIND, content, _from_file)

    def dumps(self) -> bytes:
        """The bytes that save() writes."""
        return dumps(KIND, *_as_file(self))

    def merge(self, other: "Statistics") -> "Statistics":
        """The statistics of both: as if the batches of `other` had come after those of this.

        CalibrationError if they are of different models.
        """
        other.check(self.places, self.weights)
        if _as_numbers(self.levels) != _as_numbers(other.levels):
            raise CalibrationError(
                "the statistics are of channels in other units: they come from analyses of two "
                "quantized models; merge what observe() gives"
            )
        return Statistics(
            values={
                name: Observed(value.layer, value.shape, _both(value, other.values[name]))
                for name, value in self.values.items()
            },
            input_shapes=self.input_shapes,
            samples=self.samples + other.samples,
            weights=self.weights,
            levels=self.levels,
        )

    @property
    def places(self) -> Mapping[str, tuple[str, Shape]]:
        """The layer and the shape of each value."""
        return {name: (value.layer, value.shape) for name, value in self.values.items()}

    def check(self, places: Mapping[str, tuple[str, Shape]], weights: Mapping[str, int]) -> None:
        """CalibrationError, naming the first difference, unless they are of this very model."""
        for name, place in places.items():
            found = self.places.get(name)
            if found != place:
                has = f"have {_spelled(name, *found)}" if found else "do not have it"
                raise CalibrationError(
                    f"the statistics are of another model: where the model has "
                    f"{_spelled(name, *place)}, they {has}; {AGAIN}"
                )
        for name in self.values:
            if name not in places:
                raise CalibrationError(
                    f"the statistics are of another model: it has no value {name!r}; {AGAIN}"
                )
        for name in (*weights, *self.weights):
            if name not in self.weights:
                raise CalibrationError(
                    f"the statistics are of another model: it has no {name!r}; {AGAIN}"
                )
            if name not in weights:
                raise CalibrationError(
                    f"the statistics are of another model: that has {name!r}; {AGAIN}"
                )
            if weights[name] != self.weights[name]:
                raise CalibrationError(
                    f"the statistics are of other weights: {name!r} has changed since; {AGAIN}"
                )

    def choices(
        self, bits: int = 8, symmetric: bool = False
    ) -> Mapping[str, Mapping[Calibrator, Choice]]:
        """What each calibrator would choose for each value, and how well."""
        if not 2 <= bits <= 8:
            raise RecipeError(f"bits={bits} is not a width that zeropoint quantizes to; use 2 to 8")
        type = IntegerType(bits, signed=False)
        return {
            name: {c: choice_of(c, observation, type, symmetric) for c in CALIBRATORS}
            for name, observation in self.observations.items()
        }

    def table(self, bits: int = 8, symmetric: bool = False) -> Table:
        """A row a value: each calibrator's range and simulated SQNR; the best in each row marked.

        The range of `MinMax` is that of the data, and that of `Sigma` the 3-sigma range.
        """
        kind = "symmetric" if symmetric else "affine"
        title = f"Activations of {self.samples} samples on {bits}-bit {kind} grids"
        head = [Column("value", overflow="fold")]
        for calibrator in CALIBRATORS:
            options = ", ".join(str(option) for option in vars(calibrator).values())
            header = f"{type(calibrator).__name__}\n{options}"
            head.append(Column(header, justify="right", overflow="fold"))
        rows: list[list[str | Text]] = []
        for name, choices in self.choices(bits, symmetric).items():
            best = max(choice.sqnr_db for choice in choices.values())
            rows.append([name, *(_cell(choice, best) for choice in choices.values())])
        return table(head, rows, title=title, caption="simulated SQNR in dB, * the best of the row")

    def __rich__(self) -> Table:
        return self.table()

    def __str__(self) -> str:
        return as_text(self)

    def to_dict(self, bits: int = 8, symmetric: bool = False) -> dict[str, Any]:
        """The table, and how many elements there were, as JSON data; None for infinite decibels."""
        choices = self.choices(bits, symmetric)
        return {
            "zeropoint": self.zeropoint,
            "samples": self.samples,
            "input_shapes": [list(shape) for shape in self.input_shapes],
            "bits": bits,
            "symmetric": symmetric,
            "values": {
                name: {
                    "layer": value.layer,
                    "shape": list(value.shape),
                    "low": value.observation.low,
                    "high": value.observation.high,
                    "elements": value.observation.total,
                    "zeros": value.observation.histogram.zeros,
                    "calibrators": {repr(c): o.to_dict() for c, o in choices[name].items()},
                }
                for name, value in self.values.items()
            },
        }

    def plot(self, value: str | None = None, *, bits: int = 8, symmetric: bool = False) -> "Figure":
        """The histogram of one value, or of all, with the range of each calibrator, in matplotlib.

        Counts are logarithmic. ZeropointError names the extra `report` if matplotlib is missing,
        CalibrationError the value if it was not observed.
        """
        from zeropoint.observe.statistics_plot import figure

        if value is not None and value not in self.values:
            known = ", ".join(self.values)
            raise CalibrationError(f"there is no value {value!r}; the values are {known}")
        names = self.values if value is None else (value,)
        shown = replace(self, values={name: self.values[name] for name in names})
        choices = shown.choices(bits, symmetric)
        return figure({name: (self.values[name].observation, choices[name]) for name in names})


def _both(one: Observed, other: Observed) -> Observation:
    merged = Observation()
    merged.merge(one.observation)
    merged.merge(other.observation)
    return merged


def _spelled(name: str, layer: str, shape: Shape) -> str:
    inside = f" of layer {layer!r}" if layer and layer != name else ""
    return f"{name!r}{inside} of shape ({', '.join(map(str, shape))})"


def _cell(choice: Choice, best: float) -> Text:
    is_best = choice.sqnr_db == best
    extent = f"{choice.low:.3g}..{choice.high:.3g}"
    text = f"{extent}\n{'* ' if is_best else ''}{choice.sqnr_db:.1f}"
    return words(text, "bold" if is_best else "")


def _as_numbers(levels: Mapping[str, Tensor]) -> dict[str, list[int]]:
    return {name: level.tolist() for name, level in levels.items()}


def _as_file(statistics: Statistics) -> tuple[Json, dict[str, Tensor]]:
    """JSON data, and tensors: a value's counts, extremes of batches (2, T), sums, levels (C,)."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Json] = {}
    for name, value in statistics.values.items():
        observation, histogram = value.observation, value.observation.histogram
        tensors[f"{name}{COUNTS}"] = histogram.counts
        extremes = [observation.lows.tolist(), observation.highs.tolist()]
        tensors[f"{name}{EXTREMES}"] = torch.tensor(extremes, dtype=torch.float32)
        values[name] = {
            "layer": value.layer,
            "shape": list(value.shape),
            "range": [histogram.low, histogram.high] if observation.total else None,
            "exponent": histogram.exponent,
            "first": histogram.first,
            "zeros": histogram.zeros,
            "axes": list(observation.sums),
        }
        for axis, sums in observation.sums.items():
            tensors[f"{name}{SUMS}.{axis}"] = sums
    tensors |= {f"{name}{LEVEL}": level for name, level in statistics.levels.items()}
    body = {
        "zeropoint": statistics.zeropoint,
        "input_shapes": [list(shape) for shape in statistics.input_shapes],
        "samples": statistics.samples,
        "weights": dict(statistics.weights),
        "values": values,
        "levels": list(statistics.levels),
    }
    return body, tensors


def _from_file(body: Json, tensors: Mapping[str, Tensor]) -> Statistics:
    data = Field(body)
    data.only("zeropoint", "input_shapes", "samples", "weights", "values", "levels")
    given = dict(tensors)
    levels = data.get("levels")
    statistics = Statistics(
        values={n: _observed(n, value, given) for n, value in data["values"].entries().items()},
        input_shapes=tuple(s.extents(MOST_ELEMENTS) for s in data["input_shapes"].items()),
        samples=data["samples"].integer(0, MOST_COUNTED),
        weights={n: w.integer(0, 1 << 64) for n, w in data["weights"].entries().items()},
        zeropoint=data["zeropoint"].text(),
        levels={n: _level(n, given) for n in (levels.texts() if levels else ())},
    )
    if any(math.prod(shape) > MOST_ELEMENTS for shape in statistics.input_shapes):
        raise ValueError(f"its samples have more than {MOST_ELEMENTS} elements")
    if given:
        raise ValueError(f"its tensor {next(iter(given))!r} belongs to nothing")
    return statistics


def _taken(tensors: dict[str, Tensor], name: str, dtype: torch.dtype, *shape: int | None) -> Tensor:
    """A tensor of that type and shape (None: any size), which is not there any more afterwards."""
    found = tensors.pop(name, None)
    if found is None:
        raise ValueError(f"it has no tensor {name!r}")
    fits = len(shape) == found.ndim and all(
        n in (None, size) for n, size in zip(shape, found.shape, strict=True)
    )
    if found.dtype != dtype or not fits:
        raise ValueError(f"its tensor {name!r} is {found.dtype} of shape {tuple(found.shape)}")
    return found


def _level(name: str, tensors: dict[str, Tensor]) -> Tensor:
    return _taken(tensors, f"{name}{LEVEL}", torch.uint8, None)


def _observed(name: str, data: Field, tensors: dict[str, Tensor]) -> Observed:
    data.only("layer", "shape", "range", "exponent", "first", "zeros", "axes")
    shape = data["shape"].shape(MOST_ELEMENTS)
    counts = _taken(tensors, f"{name}{COUNTS}", torch.int64, BINS)
    extremes = _taken(tensors, f"{name}{EXTREMES}", torch.float32, 2, None)
    axes = [axis.integer(-len(shape), len(shape) - 1) for axis in data["axes"].items()]
    if len({axis % len(shape) for axis in axes}) < len(axes):
        raise ValueError(f"{data.where}.axes has one twice")
    channels = {axis: shape[axis] for axis in axes}
    sums = {
        axis: _taken(
            tensors,
            f"{name}{SUMS}.{axis}",
            torch.float64,
            extent if isinstance(extent, int) else None,
        )
        for axis, extent in channels.items()
    }
    if not all(bool(torch.isfinite(each).all()) for each in sums.values()):
        raise ValueError(f"the sums of {name!r} are not finite")
    low, high = _range(data["range"])
    histogram = Histogram(
        low,
        high,
        data["exponent"].integer(FINEST, LARGEST_EXPONENT),
        data["first"].integer(-MOST_COUNTED, MOST_COUNTED),
        counts,
        data["zeros"].integer(0, MOST_COUNTED),
    )
    _check_histogram(name, histogram, extremes)
    lows, highs = (array("f", bounds) for bounds in extremes.tolist())
    observation = Observation(histogram, lows, highs, tuple(sums), sums)
    return Observed(data["layer"].text(), shape, observation)


def _range(data: Field) -> tuple[float, float]:
    if data.data is None:
        return math.inf, -math.inf
    low, high = (end.number() for end in data.items())
    if low > high:
        raise data.wrong("a range from low to high")
    return low, high


def _check_histogram(name: str, histogram: Histogram, extremes: Tensor) -> None:
    """ValueError for counts that are none, or of elements outside of the range."""
    counts, seen = histogram.counts, histogram.low <= histogram.high
    if bool((counts < 0).any()) or counts.double().sum() > MOST_COUNTED:
        raise ValueError(f"the counts of {name!r} are none")
    if not bool(torch.isfinite(extremes).all()) or bool((extremes[0] > extremes[1]).any()):
        raise ValueError(f"the extremes of {name!r} are none")
    if not seen:
        if histogram.total or extremes.numel() or histogram.zeros:
            raise ValueError(f"{name!r} has no range, and was seen")
        return
    low, high = (math.floor(end / histogram.width) for end in (histogram.low, histogram.high))
    filled = counts.nonzero().flatten() + histogram.first
    inside = filled.numel() and low <= int(filled[0]) and int(filled[-1]) <= high
    batches = extremes.numel() and min(extremes[0]) >= histogram.low
    if not (inside and batches and max(extremes[1]) <= histogram.high):
        raise ValueError(f"the counts of {name!r} are not within its range")
    if high - histogram.first >= BINS or low < histogram.first or abs(high) > 1 << INDEX_BITS + 1:
        raise ValueError(f"the bins of {name!r} do not hold its range")
    if histogram.zeros > histogram.total or (histogram.zeros and not low <= 0 <= high):
        raise ValueError(f"{name!r} has more zeros than elements")
