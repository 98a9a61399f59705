"""What the package prints: tables and lines, whose words are shown as they are.

Names of layers, classes and files come from users and from files: `[red]` is a name here, never a
style, and a character that steers a terminal is shown as its escape. So every table and every line
is made here, and nothing else of the package gives rich a string.
"""

import io
from collections.abc import Iterable, Sequence

from rich.box import HEAVY_HEAD, Box
from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

WIDTH = 120

Cell = str | Text


def words(text: str, style: str = "") -> Text:
    """The text as it is: neither markup nor emoji codes, nor what would steer a terminal."""
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    return Text(shown, style=style)


def table(
    head: Sequence[str | Column],
    rows: Iterable[Sequence[Cell]],
    *,
    title: str = "",
    caption: str = "",
    box: Box | None = HEAVY_HEAD,
    padding: tuple[int, int, int, int] = (0, 1, 0, 1),
) -> Table:
    """A table of these columns; without a head if there are no names in it."""
    made = Table(
        title=words(title, "table.title") if title else None,
        caption=words(caption, "table.caption") if caption else None,
        box=box,
        padding=padding,
        show_header=any(not isinstance(one, str) or one for one in head),
    )
    for one in head:
        column = Column(one) if isinstance(one, str) else one
        made.add_column(
            words(str(column.header)),
            justify=column.justify,
            overflow=column.overflow,
            no_wrap=column.no_wrap,
        )
    for row in rows:
        made.add_row(*(words(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def lines(*parts: RenderableType) -> Group:
    """Sentences and tables below each other; none for an empty sentence."""
    shown = (words(part) if isinstance(part, str) else part for part in parts if part != "")
    return Group(*shown)


def as_text(renderable: RenderableType) -> str:
    """The text that rich prints, without colours, at most WIDTH columns wide."""
    buffer = io.StringIO()
    Console(file=buffer, width=WIDTH, no_color=True, highlight=False).print(renderable)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
