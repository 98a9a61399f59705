"""`zeropoint demo`: the whole way in seconds."""

from pathlib import Path
from typing import Annotated

import typer

from zeropoint.atomic import check_writable
from zeropoint.cli.options import JsonOption
from zeropoint.cli.output import emit_json, say
from zeropoint.cli.progress_bars import progress_bars
from zeropoint.demo import demonstrate


def demo(
    out: Annotated[Path | None, typer.Option(help="Keep the int8 network in this file")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a small network on handwritten digits, quantize, compare, save, reload."""
    if out is not None:
        check_writable(out)
    with progress_bars() as progress:
        shown = demonstrate(out=out, progress=progress)
    if as_json:
        emit_json({**shown.comparison.to_dict(), "reloaded_is_equal": shown.reloaded_is_equal})
        return
    say(shown.comparison)
    say(
        "Saved, and reloaded without the model's class: the outputs are "
        + ("equal." if shown.reloaded_is_equal else "NOT equal.")
    )
