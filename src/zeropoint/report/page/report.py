"""report(): everything that is known about a quantized model, on one page.

1. analyze    where the error comes from, on the first samples
2. compare    accuracy, size and latency, on all of them
3. document   both as one piece of data                      -> report.json
4. page       the same data drawn                            -> report.html
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from torch import nn

from zeropoint.atomic import check_writable, write_text
from zeropoint.batches import Inputs, first_and_all, input_names, inputs_of
from zeropoint.errors import FileError
from zeropoint.model import QuantizedModel
from zeropoint.pipeline import float_graph_of
from zeropoint.progress import Progress, silent
from zeropoint.render import as_text, lines
from zeropoint.report.analysis.analysis import Analysis
from zeropoint.report.analysis.analyze import analyze
from zeropoint.report.compare import Comparison, Metric, compare
from zeropoint.report.page.document import Measured, build
from zeropoint.report.page.html.page import import_jinja2, render
from zeropoint.report.page.html.verdict import headline, summary
from zeropoint.simulation import Simulation


@dataclass(frozen=True)
class Report:
    """The files that were written, and what stands in them.

    `page` is the HTML file and `data` the JSON file beside it, which holds `document`; `comparison`
    and `analysis` are the results that both were made of.
    """

    page: Path
    data: Path
    comparison: Comparison
    analysis: Analysis
    document: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The document: the same as in the JSON file."""
        return self.document

    def __rich__(self) -> RenderableType:
        return lines(headline(self.document), summary(self.document), f"Wrote {self.page}")

    def __str__(self) -> str:
        return as_text(self.__rich__())


def report(
    model: nn.Module,
    q: QuantizedModel,
    loader: Iterable[object],
    path: str | os.PathLike[str] = "report.html",
    *,
    samples: int = 128,
    metric: Metric | None = None,
    latency: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Write what int8 cost and gained, layer by layer, as one HTML page; and as JSON beside it.

    The page opens without a network. Accuracy, size and latency are those of `compare` over the
    whole loader, the errors of the layers those of `analyze` on its first `samples`; the loader is
    passed through once. FileError, before any work, if the page cannot be written.
    """
    page, data = writable(path)
    import_jinja2()
    first, batches = first_and_all(loader)
    names = input_names(model)
    head = _first_samples(batches, samples, names)
    analysis = analyze(model, q, head, samples=samples, progress=progress)
    comparison = compare(model, q, chain(head, batches), metric, latency=latency, progress=progress)
    (progress or silent)("draw", 0, None)
    assert analysis.statistics is not None  # analyze() leaves nothing out
    measured = Measured(
        comparison=comparison,
        analysis=analysis.to_dict(),
        observations=analysis.statistics.observations,
        simulation=Simulation(float_graph_of(q.program, model, inputs_of(first, names)), q.program),
    )
    document = build(measured, q, datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    write_text(page, render(document))
    write_text(data, json.dumps(document, separators=(",", ":"), allow_nan=False))
    return Report(page, data, comparison, analysis, document)


def writable(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The page and the data beside it; FileError now rather than after minutes of work."""
    page = Path(path)
    data = page.with_suffix(".json")
    if page == data:
        raise FileError(f"{page} cannot be the page, since the data go there: name it .html")
    check_writable(page, data)
    return page, data


def _first_samples(batches: Iterable[object], samples: int, names: tuple[str, ...]) -> list[object]:
    """As many batches as hold that many samples; the others stay in the iterator."""
    head: list[object] = []
    found = 0
    for batch in batches:
        head.append(batch)
        inputs: Inputs = inputs_of(batch, names)
        found += len(inputs[0]) if inputs[0].ndim else 1
        if found >= samples:
            break
    return head
