"""`zeropoint bench`: latency, without data."""

from collections.abc import Mapping

import torch
from rich.table import Table  # the type alone
from torch import Tensor

import zeropoint as zp
from zeropoint.cli.networks import require_runs
from zeropoint.cli.options import (
    EngineOption,
    FileArgument,
    JsonOption,
    SourceArgument,
    WeightsOption,
)
from zeropoint.cli.output import show
from zeropoint.render import table
from zeropoint.report.compare import measure_latency
from zeropoint.source import load_model


def bench(
    source: SourceArgument,
    file: FileArgument,
    *,
    weights: WeightsOption = None,
    engine: EngineOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Latency of SOURCE and FILE at batch 1 and 16, interleaved in one run."""
    quantized = zp.load(file, engine=engine)
    model = load_model(source, weights=weights)
    example = random_inputs(quantized)
    require_runs(source, model, *example)
    latency = measure_latency(model, quantized, example)
    facts = {"milliseconds": latency, "threads": torch.get_num_threads()}
    show(latency_table(latency), facts, as_json=as_json)


def random_inputs(quantized: zp.QuantizedModel) -> tuple[Tensor, ...]:
    """One sample of each input, in the shape that the network was quantized with."""
    generator = torch.Generator().manual_seed(0)
    shapes = quantized.program.provenance.input_shapes
    return tuple(torch.rand(shape, generator=generator) for shape in shapes)


def latency_table(latency: Mapping[str, Mapping[int, float]]) -> Table:
    batches = sorted(next(iter(latency.values())))
    rows = [
        (name, *(f"{took[batch]:.2f} ms" for batch in batches)) for name, took in latency.items()
    ]
    return table(("", *(f"batch {batch}" for batch in batches)), rows, title="median latency")
