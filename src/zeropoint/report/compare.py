"""Float against int8 on the same images: accuracy, agreement, size, latency and coverage."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from rich.console import RenderableType
from torch import Tensor, nn

from zeropoint.batches import (
    Inputs,
    count_of,
    first_and_all,
    input_names,
    inputs_of,
    labels_of,
)
from zeropoint.capture.evaluating import evaluating
from zeropoint.errors import DataError
from zeropoint.graph.channels_last import as_channels_last
from zeropoint.graph.structure import leaves_of
from zeropoint.model import QuantizedModel
from zeropoint.observe.error import sqnr_db
from zeropoint.program.coverage import Coverage
from zeropoint.progress import Progress, silent
from zeropoint.render import as_text, lines, table
from zeropoint.report.latency import interleaved
from zeropoint.report.size import float_bytes, program_bytes

Metric = Callable[[Any, Any], Tensor]  # outputs are nested as the model nests them
"""Outputs and labels of a batch to a score for each sample; its mean is the accuracy."""

BATCH_SIZES = (1, 16)


def top1(outputs: Tensor, labels: Tensor) -> Tensor:
    """1 for each sample whose greatest output is its label, else 0; DataError for other labels."""
    if labels.shape != outputs.shape[:1]:
        raise DataError(
            f"labels of shape {tuple(labels.shape)} come with outputs of shape "
            f"{tuple(outputs.shape)}; top-1 accuracy expects one class index for each sample: "
            "yield those, or compare with a metric of your own"
        )
    return (outputs.argmax(1) == labels).to(torch.float32)


@dataclass(frozen=True)
class Flips:
    """Samples that only int8 gets right (gained), or only float (lost)."""

    gained: int
    lost: int


@dataclass(frozen=True)
class Comparison:
    """The measured difference between a float model and its integer program.

    `float_accuracy` and `int8_accuracy` are None without labels; `agreement` is the share of
    samples with the same greatest output, None where outputs are no scores; `sqnr_db` is the ratio
    of the output's power to that of its error. `latency` maps "float eager", "float channels_last"
    and "int8" to median milliseconds by batch size.
    """

    samples: int
    float_accuracy: float | None
    int8_accuracy: float | None
    flips: Flips | None
    agreement: float | None
    sqnr_db: float
    float_bytes: int
    int8_bytes: int
    latency: dict[str, dict[int, float]]
    coverage: Coverage
    engine: str

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        data = asdict(self)
        data["coverage"] = self.coverage.to_dict()
        data["size_ratio"] = self.float_bytes / self.int8_bytes
        return data

    def __rich__(self) -> RenderableType:
        rows: list[tuple[str, ...]] = []
        if self.float_accuracy is not None and self.int8_accuracy is not None:
            change = 100 * (self.int8_accuracy - self.float_accuracy)
            cells = (_percent(self.float_accuracy), _percent(self.int8_accuracy), f"{change:+.2f}")
            rows.append((f"accuracy on {self.samples:,} samples", *cells))
        if self.flips is not None:
            rows.append(("  right in int8 only / in float only", "", "", _flips(self.flips)))
        if self.agreement is not None:
            rows.append(("same decision", "", "", _percent(self.agreement)))
        rows.append(("SQNR of the output", "", "", f"{self.sqnr_db:.1f} dB"))
        ratio = f"{self.float_bytes / self.int8_bytes:.2f}x smaller"
        rows.append(("size on disk", _size(self.float_bytes), _size(self.int8_bytes), ratio))
        for batch in sorted(self.latency.get("int8", {})):
            rows.append((f"latency, batch {batch}", *_latency(self.latency, batch)))
        title = f"float against int8 ({self.engine})"
        head = ("", "float32", "int8", "")
        return lines(table(head, rows, title=title), self.warning, self.coverage)

    @property
    def warning(self) -> str:
        """What to do where islands make int8 slower than float; "" where it is not."""
        slower = [n for n in sorted(self.latency.get("int8", {})) if _speed(self.latency, n) < 1]
        islands = self.coverage.islands
        if not slower or not islands:
            return ""
        batches = " and ".join(f"batch {batch}" for batch in slower)
        return (
            f"At {batches} int8 is slower than float. Operators that stay float: {len(islands)}; "
            f"conversions to them and back: {self.coverage.conversions}. Keep whole blocks "
            "around them float (overrides={'block': None}), or the network as it is."
        )

    def __str__(self) -> str:
        return as_text(self.__rich__())


@dataclass
class _Tally:
    """Sums over batches."""

    samples: int = 0
    float_score: float = 0.0
    int8_score: float = 0.0
    gained: int = 0
    lost: int = 0
    agreed: int = 0
    scored: bool = False
    classified: bool = True
    signal: float = 0.0
    noise: float = 0.0

    @property
    def sqnr_db(self) -> float:
        """Decibels of the outputs' power over that of their error; infinite without an error."""
        return sqnr_db(self.signal, self.noise)

    def add_outputs(self, expected: list[Tensor], found: list[Tensor]) -> None:
        for real, approximate in zip(expected, found, strict=True):
            self.signal += real.to(torch.float64).pow(2).sum().item()
            self.noise += (real - approximate).to(torch.float64).pow(2).sum().item()
        first = expected[0]
        self.samples += len(first) if first.ndim else 1
        self.classified &= len(expected) == 1 and first.ndim == 2 and first.shape[1] > 1
        if self.classified:
            self.agreed += int((first.argmax(1) == found[0].argmax(1)).sum())

    def add_scores(self, expected: Tensor, found: Tensor) -> None:
        self.scored = True
        self.float_score += expected.sum().item()
        self.int8_score += found.sum().item()
        self.gained += int((found > expected).sum())
        self.lost += int((found < expected).sum())


def compare(
    model: nn.Module,
    q: QuantizedModel,
    loader: Iterable[object],
    metric: Metric | None = None,
    *,
    latency: bool = True,
    progress: Progress | None = None,
) -> Comparison:
    """Run both models over the loader, on the same images, and time them side by side.

    Without labels in the loader the accuracy is unknown; agreement and SQNR need none.
    """
    report = progress or silent
    names = input_names(model)
    first, batches = first_and_all(loader)
    tally = _Tally()
    for batch in batches:  # the user's code: gradients and training flags as they are
        with torch.no_grad(), evaluating(model):
            _tally_batch(tally, model, q, batch, names, metric)
        report("compare", tally.samples, None)
    example = inputs_of(first, names)
    n = max(tally.samples, 1)
    return Comparison(
        samples=tally.samples,
        float_accuracy=tally.float_score / n if tally.scored else None,
        int8_accuracy=tally.int8_score / n if tally.scored else None,
        flips=Flips(tally.gained, tally.lost) if tally.scored else None,
        agreement=tally.agreed / n if tally.classified else None,
        sqnr_db=tally.sqnr_db,
        float_bytes=float_bytes(model),
        int8_bytes=program_bytes(q.program),
        latency=measure_latency(model, q, example) if latency else {},
        coverage=q.coverage(),
        engine=q.engine,
    )


def _tally_batch(
    tally: _Tally,
    model: nn.Module,
    q: QuantizedModel,
    batch: object,
    names: tuple[str, ...],
    metric: Metric | None,
) -> None:
    inputs = inputs_of(batch, names)
    found = q(*inputs)  # first, since a float model may change its input in place
    expected = model(*inputs)
    tally.add_outputs(leaves_of(expected), leaves_of(found))
    labels = labels_of(batch, names)
    if labels is None:
        return
    if metric is not None:
        scores = [metric(outputs, labels) for outputs in (expected, found)]
        for score in scores:
            _require_one_each(score, len(inputs[0]))
        tally.add_scores(*scores)
    elif tally.classified and isinstance(labels, Tensor):
        tally.add_scores(top1(leaves_of(expected)[0], labels), top1(leaves_of(found)[0], labels))


def _require_one_each(score: object, samples: int) -> None:
    if not isinstance(score, Tensor) or score.shape != (samples,):
        kind = type(score).__name__
        found = f"a tensor of shape {tuple(score.shape)}" if isinstance(score, Tensor) else kind
        raise DataError(
            f"the metric returned {found}; expected a tensor with one score for each of the "
            f"{samples} samples, not their mean"
        )


def measure_latency(
    model: nn.Module, q: QuantizedModel, example: tuple[Tensor, ...]
) -> dict[str, dict[int, float]]:
    """Median milliseconds by engine and batch size, all engines in turns."""
    fast = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    results: dict[str, dict[int, float]] = {}
    with torch.no_grad(), evaluating(model), evaluating(fast):
        for batch, inputs in _timed_inputs(model, q, example).items():
            last = tuple(as_channels_last(x) for x in inputs)
            calls: dict[str, Callable[[], object]] = {
                "float eager": partial(model, *inputs),
                "float channels_last": partial(fast, *last),
                "int8": partial(q, *inputs),
            }
            for name, milliseconds in interleaved(calls).items():
                results.setdefault(name, {})[batch] = milliseconds
    return results


def _timed_inputs(model: nn.Module, q: QuantizedModel, example: Inputs) -> dict[int, Inputs]:
    """Inputs of a few sizes by the size; the example alone where the models take no other."""
    names = q.program.graph.inputs
    shapes = [q.program.graph.values[name].shape for name in names]
    firsts = {shape[0] for shape in shapes if shape}
    if len(firsts) == 1 and isinstance(firsts.pop(), str):
        sizes = {batch: tuple(_repeated(x, batch) for x in example) for batch in BATCH_SIZES}
        if all(_runs(model, inputs) for inputs in sizes.values()):
            return sizes
    return {count_of(example): example}


def _runs(model: nn.Module, inputs: Inputs) -> bool:
    try:
        model(*[x.clone() for x in inputs])
    except Exception:  # whatever the user's code raises
        return False
    return True


def _repeated(x: Tensor, batch: int) -> Tensor:
    copies = -(-batch // len(x))
    return x.repeat(copies, *[1] * (x.ndim - 1))[:batch].contiguous()


def _ratio(before: float, after: float) -> str:
    return f"{before / after:.2f}x faster" if after <= before else f"{after / before:.2f}x slower"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _flips(flips: Flips) -> str:
    return f"{flips.gained} / {flips.lost}"


def _size(count: int) -> str:
    return f"{count / 1e6:.3f} MB"


def _speed(latency: dict[str, dict[int, float]], batch: int) -> float:
    """How many times as fast as the faster float way int8 is."""
    return _fastest(latency, batch) / latency["int8"][batch]


def _fastest(latency: dict[str, dict[int, float]], batch: int) -> float:
    return min(times[batch] for name, times in latency.items() if name != "int8")


def _latency(latency: dict[str, dict[int, float]], batch: int) -> tuple[str, str, str]:
    fastest, int8 = _fastest(latency, batch), latency["int8"][batch]
    return f"{fastest:.2f} ms", f"{int8:.2f} ms", _ratio(fastest, int8)
