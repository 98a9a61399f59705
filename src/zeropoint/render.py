"""Anything that rich can print, as plain text: what `str()` of our tables gives."""

import io

from rich.console import Console, RenderableType

WIDTH = 120


def as_text(renderable: RenderableType) -> str:
    """The text that rich prints, without colours, at most WIDTH columns wide."""
    buffer = io.StringIO()
    Console(file=buffer, width=WIDTH, no_color=True, highlight=False).print(renderable)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
