"""What a command prints on stdout: tables for people, or the same facts as JSON."""

import json
import math
import sys
from collections.abc import Mapping

import typer
from rich.console import Console, RenderableType
from rich.table import Table  # the type alone

from zeropoint.render import lines, table

# Rich would fold tables to 80 columns in a file, where nobody can widen the window.
PIPED_WIDTH = 160
BYTES_PER_MEGABYTE = 2**20


def show(
    shown: RenderableType, facts: Mapping[str, object], *, as_json: bool, soft_wrap: bool = False
) -> None:
    """The first for people, or the second if JSON was asked for.

    `soft_wrap` leaves long lines to the terminal: for sentences with a path, not for tables.
    """
    if as_json:
        emit_json(facts)
    else:
        say(shown, soft_wrap=soft_wrap)


def say(*parts: RenderableType, soft_wrap: bool = False) -> None:
    """Tables and sentences for people."""
    stdout().print(lines(*parts), soft_wrap=soft_wrap)


def stdout() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def pairs(facts: Mapping[str, object]) -> Table:
    """Names and what they stand for, one to a row."""
    spelled = ((n, f"{v:.4f}" if isinstance(v, float) else str(v)) for n, v in facts.items())
    return table(("", ""), spelled)


def megabytes(size: int) -> str:
    return f"{size / BYTES_PER_MEGABYTE:.2f} MB"


def emit_json(facts: Mapping[str, object]) -> None:
    typer.echo(json.dumps(finite(facts), indent=2, default=str))


def finite(value: object) -> object:
    """The same with null for infinity and NaN, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
