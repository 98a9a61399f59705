"""What the pages say is so: their Python runs, and the paths that they name exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zeropoint.demo
from tests.nets import Residual, images, seeded

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)\)")
TOP = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}


def blocks() -> list[Any]:
    return [
        pytest.param(page, block, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(BLOCK.findall(page.read_text()), start=1)
    ]


@pytest.fixture
def namespace() -> dict[str, Any]:
    """What a page may take for granted: zp, torch, nn, a trained model, loaders and an image."""
    loader = [(images(seed=seed), torch.tensor([0, 1, 2, 3])) for seed in range(2)]
    return {
        "__name__": "page",
        "zp": zeropoint,
        "torch": torch,
        "nn": nn,
        "model": seeded(Residual()),
        "loader": loader,
        "val_loader": loader,
        "x": images(1),
    }


@pytest.mark.parametrize(("page", "block"), blocks())
def test_a_block_of_python_runs(
    page: Path,
    block: str,
    namespace: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zeropoint.demo, "EPOCHS", 1)
    exec(compile(block, str(page), "exec"), namespace)


def test_the_readme_shows_how_it_is_used() -> None:
    assert any("zp.quantize(" in block for block in BLOCK.findall(PAGES[0].read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    for code in CODE.findall(page.read_text()):
        path = code.split("::")[0].split(" ")[0]
        is_path = path.split("/")[0] in TOP and "<" not in path
        if is_path:
            assert (ROOT / path).exists(), f"{page.name} names {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
