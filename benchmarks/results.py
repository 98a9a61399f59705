"""Results on disk, whole or not at all, and on pages."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

NUMBERS = re.compile(r"\[[-+\d.eE,\s]+\]")


def write(path: Path, text: str) -> None:
    """The file with exactly this text; the old file where writing fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def filled(page: str, texts: Mapping[str, str]) -> str:
    r"""The page with each text, and nothing else, between the two markers of its name.

    >>> filled("a <!-- x -->old<!-- /x --> b", {"x": "new"})
    'a <!-- x -->\nnew\n<!-- /x --> b'
    """
    for name, text in texts.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no place for {name}: no {begin} with {end} behind it")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page


def markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """The table; the first column to the left, the others to the right."""
    head = list(header)
    rule = ["---", *("---:" for _ in head[1:])]
    lines = [head, rule, *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(escape(entry) for entry in line)} |" for line in lines)


def json_text(document: object) -> str:
    """The document as JSON, indented, each list of numbers on one line; no NaN or infinity."""
    indented = json.dumps(document, indent=1, allow_nan=False)
    return NUMBERS.sub(lambda match: " ".join(match.group().split()), indented) + "\n"


def escape(entry: str) -> str:
    return entry.replace("|", "\\|")
