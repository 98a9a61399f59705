"""Arguments and options that several commands share, with the sentences that `--help` shows."""

from pathlib import Path
from typing import Annotated

import typer

SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="net.py:factory, package.module:factory or a .pt2")
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="What quantize wrote")]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", help="A .safetensors or .pt state dict for SOURCE")
]
DataOption = Annotated[
    str,
    typer.Option(
        "--data", help="A folder of class/name.png, a .parquet file, or a hub name like a/b:test"
    ),
]
LimitOption = Annotated[
    int | None, typer.Option("--samples", help="Use the first so many images; default: all")
]
EngineOption = Annotated[str, typer.Option("--engine", help="What runs it; auto: the fastest here")]
LatencyOption = Annotated[bool, typer.Option(help="Measure latency too")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables")]
