"""`zeropoint compare`: what int8 cost and gained, in one table."""

import zeropoint as zp
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


@with_image_options
def compare(
    source: SourceArgument,
    file: FileArgument,
    *,
    data: DataOption,
    weights: WeightsOption = None,
    engine: EngineOption = "auto",
    latency: LatencyOption = True,
    samples: LimitOption = None,
    images: ImageOptions,
    as_json: JsonOption = False,
) -> None:
    """Run SOURCE and FILE on --data: accuracy, agreement, size, latency, coverage."""
    loader = images.open(data, samples=samples)
    model, quantized = load_both(source, file, loader, weights=weights, engine=engine)
    with progress_bars(total=loader.samples) as progress:
        card = zp.compare(model, quantized, loader, latency=latency, progress=progress)
    show(card, card.to_dict(), as_json=as_json)
