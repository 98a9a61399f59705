import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

import zeropoint as zp
from zeropoint.cli.output import pairs
from zeropoint.observe.statistics import Statistics
from zeropoint.render import WIDTH, as_text, lines, table, words

SOURCES = Path(zp.__file__).parent
HOSTILE = ("[red]", "[/]", "[bold]conv", ":smile:", "[link=https://a]b")
"""Keys of an nn.ModuleDict, which may be any string without a dot."""


def test_a_table_is_plain_text_without_trailing_blanks() -> None:
    printed = as_text(table(("name", "value"), [("[bold]a[/bold]", "1")], title="[red]"))
    assert "\x1b" not in printed
    assert "[bold]a[/bold]" in printed
    assert "[red]" in printed
    assert all(line == line.rstrip() for line in printed.splitlines())


def test_the_width_does_not_depend_on_the_terminal() -> None:
    printed = as_text(table(("name",), [("word " * 100,)]))
    assert max(len(line) for line in printed.splitlines()) <= WIDTH


def test_what_steers_a_terminal_is_shown() -> None:
    assert words("a\x1b[31mb\r\ud800").plain == r"a\x1b[31mb\r\ud800"
    assert as_text(lines("", "[a", table(("",), []))).splitlines()[0] == "[a"


def test_only_this_file_gives_rich_words_and_tables() -> None:
    """Others name rich's types, and columns; what they show goes through words() and table()."""
    makes = re.compile(r"\b(Table|Group|Text|Panel|Markup|Tree|Columns)\(|add_row|add_column")
    prints = re.compile(r"console\.print\(|\brprint\(|from rich import print|from_markup")
    returns = re.compile(r"def __rich__\(self\) -> str")
    for path in SOURCES.rglob("*.py"):
        name, text = path.relative_to(SOURCES).as_posix(), path.read_text()
        if name == "render.py" or "rich" not in text:
            continue
        for found in makes.finditer(text):
            own = re.search(rf"^(class {found[1]}\b|from zeropoint.*\b{found[1]}\b)", text, re.M)
            assert own, f"{name} makes {found[0]}"
        assert not prints.search(text), name
        assert not returns.search(text), name


class Named(nn.Module):
    """A layer of each name, and one that stays float."""

    def __init__(self) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {name: nn.Conv2d(2, 2, 1) for name in HOSTILE}
        self.parts = nn.ModuleDict({**layers, "[/red]": nn.GroupNorm(1, 2)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts.values():
            x = part(x).relu()
        return x


@pytest.fixture(scope="module")
def named() -> tuple[nn.Module, zp.QuantizedModel, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(4, 2, 5, 5)
    Named.__name__ = "Named[/bold]"
    model = Named().eval()
    return model, zp.quantize(model, [x], engine="reference"), x


Shown = Callable[[nn.Module, zp.QuantizedModel, torch.Tensor], Any]


@pytest.mark.parametrize(
    ("show", "names"),
    [
        (lambda model, q, x: q.plan, HOSTILE),
        (lambda model, q, x: q.coverage(), ("[/red]",)),
        (lambda model, q, x: zp.prove(q), HOSTILE),
        (lambda model, q, x: zp.observe(model, [x]), ("[/red]",)),
        (lambda model, q, x: zp.analyze(model, q, [x]), HOSTILE),
        (lambda model, q, x: zp.compare(model, q, [x], latency=False), ("[/red]",)),
        (lambda model, q, x: zp.verify(q, [x], ["reference"]), ("[/bold]",)),
        (lambda model, q, x: pairs(q.provenance), ("[/bold]",)),
    ],
)
def test_names_that_look_like_markup_are_shown_as_they_are(
    named: tuple[nn.Module, zp.QuantizedModel, torch.Tensor], show: Shown, names: tuple[str, ...]
) -> None:
    shown = show(*named)
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(shown)
    printed = console.export_text()
    assert isinstance(shown, Statistics) or str(shown)
    for name in names:
        assert name in printed
