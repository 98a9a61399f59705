"""docs/operators.md, from the files in `zeropoint/ops`: `python -m tests.conformance.page`.

What runs where is what the conformance suite holds every engine to.
"""

import inspect
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from benchmarks.results import write
from tests.conformance.cases import CASES
from tests.conformance.suite import operator
from tests.export.c.test_operators import NOT_IN_C
from zeropoint.graph.op import IntegerOp
from zeropoint.ops import FAMILIES, dropout, identity, only_float, opaque
from zeropoint.ops.functions import FUNCTIONS
from zeropoint.ops.only_float import REASONS

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"

HEAD = """# Operators

Written by `python -m tests.conformance.page` from the files in `src/zeropoint/ops`, one section for
each: the float form, the integer form, and the operators of torch that become it. Spellings that
torch decomposes or renames on the way (in place, as a module, as a method) are captured too.
Numbers in brackets are those of [arithmetic.md](arithmetic.md).

Every operator in integers runs on every engine (`reference`, `onednn`, `onnxruntime`, `openvino`)
and is exported as ONNX and OpenVINO IR; the conformance suite draws cases for each of them and
counts differing integers. What `q.export` does not write in C is noted.
"""

FLOAT = """## What stays float

Anything else is a float island: it runs as torch runs it, between one dequantize and one quantize,
and `q.coverage()` names it, with the line of your code. These have a reason of their own:
"""

NOT_SHOWN = (dropout, identity, opaque, only_float)


def page() -> str:
    """The whole page."""
    families = [family for family in FAMILIES if family not in NOT_SHOWN]
    return "\n".join([HEAD, *map(section, families), FLOAT, *islands()])


def section(family: ModuleType) -> str:
    """A family: its file's text, torch's operators, and what is special."""
    title = family.__name__.rpartition(".")[2].replace("_", " ")
    parts = [f"## {title.capitalize()}", inspect.cleandoc(family.__doc__ or "")]
    if family.CAPTURES:
        parts.append(f"From torch: {listed(family.CAPTURES)}.")
    if title == "table":
        parts.append(f"Functions: {quoted(FUNCTIONS)}.")
    parts += [f"In the suite: {quoted(titles)}." for titles in [titles_of(family)] if titles]
    missing = [op.name for op in family.OPS if issubclass(op, IntegerOp) and op.name in NOT_IN_C]
    if missing:
        parts.append(f"Not in C: {quoted(missing)}.")
    return "\n\n".join(parts) + "\n"


def titles_of(family: ModuleType) -> list[str]:
    """The titles of the conformance suite that are about the family's operators."""
    names = {op.name for op in family.OPS}
    return [title for title in CASES if operator(title) in names]


def islands() -> list[str]:
    """A line for each reason."""
    return [f"- {listed(map('aten.{}'.format, names))}: {why}" for why, names in REASONS.items()]


def listed(targets: Iterable[str]) -> str:
    """Torch's operators without their namespace and overload."""
    names = {target.split(".")[1] for target in targets}
    return quoted(sorted(names, key=str.lower))


def quoted(names: Iterable[str]) -> str:
    """Names in code quotes, with commas."""
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    write(PAGE, page())
