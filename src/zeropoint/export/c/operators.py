"""The C of the operators: each file in `operators/` defines what it is named after.

    weight_t                int8_t or int16_t
    multiply_ROUNDING       multiply_single or multiply_double

A program gets the definitions that it uses, those they use, and no others.
"""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from zeropoint.arithmetic.fixed_point import Rounding

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
WORD = re.compile(r"\w+")


def definitions(names: Iterable[str], rounding: Rounding, weight_type: str) -> list[str]:
    """The text of each definition, what it uses before it."""
    texts = {
        name: text.replace("ROUNDING", rounding).replace("weight_t", weight_type)
        for name, text in _texts().items()
    }
    found: dict[str, str] = {}

    def add(name: str) -> None:
        for used in sorted(set(WORD.findall(COMMENT.sub("", texts[name]))) & texts.keys()):
            if used != name and used not in found:
                add(used)
        found[name] = texts[name]

    for name in sorted(set(names)):
        if name not in found:
            add(name)
    return list(found.values())


@cache
def _texts() -> dict[str, str]:
    folder = files(__package__) / "operators"
    return {
        file.name.removesuffix(".c"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".c")
    }
