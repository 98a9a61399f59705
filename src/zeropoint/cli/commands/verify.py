"""`zeropoint verify`: whether engines and exported files compute what FILE says."""

from pathlib import Path
from typing import Annotated

import typer

import zeropoint as zp
from zeropoint.atomic import check_writable
from zeropoint.cli.images import ImageOptions, with_image_options
from zeropoint.cli.options import DataOption, FileArgument, JsonOption
from zeropoint.cli.output import show
from zeropoint.cli.progress_bars import progress_bars

FAILED = 1


@with_image_options
def verify(
    file: FileArgument,
    *,
    data: DataOption,
    engines: Annotated[
        str | None,
        typer.Option(metavar="A[,B]", help="Engines to check; default: all that are usable here"),
    ] = None,
    exported: Annotated[
        list[Path] | None,
        typer.Option(metavar="MODEL", help="What export wrote; may be repeated"),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load .pt2 files, which may run code that is in them")
    ] = False,
    samples: Annotated[int, typer.Option(help="Images to compare on")] = 64,
    out: Annotated[
        Path | None, typer.Option("--out", help="Save the certificate here, as JSON")
    ] = None,
    images: ImageOptions,
    as_json: JsonOption = False,
) -> None:
    """Run engines and exported files beside FILE's exact integers; leave with 1 if one fails."""
    if out is not None:
        check_writable(out)
    loader = images.open(data, samples=samples)
    quantized = zp.load(file, engine="reference")
    with progress_bars(total=loader.samples) as progress:
        certificate = zp.verify(
            quantized,
            loader,
            None if engines is None else [name for name in engines.split(",") if name],
            files=exported or [],
            samples=samples,
            trust=trust,
            progress=progress,
        )
    if out is not None:
        certificate.save(out)
    show(certificate, certificate.to_dict(), as_json=as_json)
    if not certificate.passes:
        raise typer.Exit(FAILED)
