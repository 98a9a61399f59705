"""The rule of docs/layout.md: a file imports from its own folder and from what stands above it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "zeropoint"
PAGE = (ROOT / "docs" / "layout.md").read_text()
LISTED = re.findall(r"^  (\S+?)/? {2,}\S", PAGE.split("```")[1], re.MULTILINE)
FILES = sorted(SOURCE.rglob("*.py"))


def place_of(path: Path) -> str:
    """The file, or the folder, of src/zeropoint in which a file stands."""
    return path.relative_to(SOURCE).parts[0]


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Every module of ours that is imported anywhere in a file, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("zeropoint"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "zeropoint":
            assert node.level == 0
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place_of_module(module: str) -> str:
    """Where a dotted name leads: zeropoint.graph.walk.walk to graph, zeropoint to __init__.py."""
    first = module.split(".")[1] if "." in module else "__init__"
    return first if (SOURCE / first).is_dir() else f"{first}.py"


def test_the_page_lists_every_file_and_folder_once() -> None:
    present = {place_of(path) for path in FILES}
    assert len(LISTED) == len(set(LISTED))
    assert set(LISTED) == present


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_from_its_own_folder_and_from_above(path: Path) -> None:
    own = place_of(path)
    allowed = {own, *LISTED[: LISTED.index(own)]}
    places = {place_of_module(module) for module in imported_modules(ast.parse(path.read_text()))}
    assert places <= allowed, f"{own} imports {sorted(places - allowed)}, which stand below it"


def test_imports_inside_functions_are_seen() -> None:
    tree = ast.parse("def f():\n    from zeropoint.cli import main\n    import zeropoint as zp\n")
    assert [place_of_module(module) for module in imported_modules(tree)] == [
        "cli",
        "__init__.py",
    ]


def test_only_capture_knows_torch_export() -> None:
    # The shell reads .pt2 files, export writes them, and verification runs them.
    allowed = {"capture", "source.py", "export", "execute"}
    assert {place_of(path) for path in FILES if "torch.export." in path.read_text()} <= allowed


def test_a_test_has_the_name_of_its_source() -> None:
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir()} - {"__pycache__"}
    for folder in folders & {path.name for path in (ROOT / "tests").iterdir()}:
        sources = {path.stem for path in (SOURCE / folder).rglob("*.py")}
        tests = {
            path.stem.removeprefix("test_") for path in (ROOT / "tests" / folder).rglob("test_*.py")
        }
        # The folder's own file is named for what it does: passes/__init__.py is simplify(). Three
        # tests are about a kind that no file is alone responsible for.
        kinds = {"types", "fixed_batch", "flat"}
        assert tests - sources <= {"simplify", "ops", "engines", "main", *kinds}, folder
