"""`zeropoint evaluate`: the accuracy of FILE."""

from pathlib import Path

from torch import Tensor

import zeropoint as zp
from zeropoint.cli.images import ImageOptions, first_image, with_image_options
from zeropoint.cli.networks import require_runs
from zeropoint.cli.options import DataOption, EngineOption, FileArgument, JsonOption, LimitOption
from zeropoint.cli.output import pairs, show
from zeropoint.cli.progress_bars import progress_bars
from zeropoint.errors import DataError
from zeropoint.report.compare import top1


@with_image_options
def evaluate(
    file: FileArgument,
    *,
    data: DataOption,
    engine: EngineOption = "auto",
    samples: LimitOption = None,
    images: ImageOptions,
    as_json: JsonOption = False,
) -> None:
    """Top-1 accuracy of FILE on --data."""
    loader = images.open(data, samples=samples)
    quantized = zp.load(file, engine=engine)
    require_scores(file, quantized, first_image(loader))
    correct = done = 0
    with progress_bars(total=loader.samples) as progress:
        for batch, labels in loader:
            correct += int(top1(quantized(batch), labels).sum())
            done += len(batch)
            progress("evaluate", done, None)
    facts = {
        "samples": loader.samples,
        "correct": correct,
        "accuracy": correct / loader.samples,
        "engine": quantized.engine,
    }
    show(pairs(facts), facts, as_json=as_json)


def require_scores(file: Path, quantized: zp.QuantizedModel, image: Tensor) -> None:
    outputs = require_runs(str(file), quantized, image)
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        raise DataError(f"{file} does not give one score for each class; accuracy is not defined")
