"""`zeropoint report`: what int8 cost and gained, layer by layer, as a page."""

from pathlib import Path
from typing import Annotated

import typer

from zeropoint.cli.images import ImageOptions, with_image_options
from zeropoint.cli.networks import load_both
from zeropoint.cli.options import (
    DataOption,
    EngineOption,
    FileArgument,
    JsonOption,
    LatencyOption,
    LimitOption,
    SourceArgument,
    WeightsOption,
)
from zeropoint.cli.output import show
from zeropoint.cli.progress_bars import progress_bars
from zeropoint.report.page.report import report as write_report
from zeropoint.report.page.report import writable


@with_image_options
def report(
    source: SourceArgument,
    file: FileArgument,
    *,
    data: DataOption,
    out: Annotated[
        Path, typer.Option("--out", help="Where the page goes; its data go beside it, as .json")
    ] = Path("report.html"),
    weights: WeightsOption = None,
    engine: EngineOption = "auto",
    latency: LatencyOption = True,
    samples: LimitOption = None,
    analysed: Annotated[
        int, typer.Option(help="Images, of these, on which the error of each layer is measured")
    ] = 128,
    images: ImageOptions,
    as_json: JsonOption = False,
) -> None:
    """Compare SOURCE and FILE layer by layer: one HTML page with every error."""
    writable(out)
    loader = images.open(data, samples=samples)
    model, quantized = load_both(source, file, loader, weights=weights, engine=engine)
    with progress_bars(total=loader.samples) as progress:
        written = write_report(
            model, quantized, loader, out, samples=analysed, latency=latency, progress=progress
        )
    show(written, written.to_dict(), as_json=as_json, soft_wrap=True)
