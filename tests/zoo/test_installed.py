import sys
from pathlib import Path

import pytest
import torch

from zoo.packages.installed import folder_of, module_without_init, torchvision_importable


@pytest.fixture
def heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package whose `__init__` fails, and a module in it that reads an attribute of it."""
    folder = tmp_path / "heavy_for_a_test" / "inner"
    folder.mkdir(parents=True)
    for place in (folder.parent, folder):
        (place / "__init__.py").write_text("import a_package_that_nobody_has")
    (folder / "network.py").write_text("import heavy_for_a_test\nBINS = heavy_for_a_test.BINS\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("heavy_for_a_test", "heavy_for_a_test.inner", "heavy_for_a_test.inner.network")
    for name in names:  # whatever is imported is forgotten afterwards
        monkeypatch.setitem(sys.modules, name, sys)
        monkeypatch.delitem(sys.modules, name)
    return "heavy_for_a_test.inner.network"


def test_a_module_comes_without_what_its_package_would_import(heavy: str) -> None:
    assert module_without_init(heavy, BINS=360).BINS == 360
    for name in [name for name in sys.modules if name.startswith("heavy_for_a_test")]:
        del sys.modules[name]


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'nobody_has_this'"):
        folder_of("nobody_has_this")


def test_fakes_of_missing_operators_of_torchvision_are_passed_over() -> None:
    register = torch.library.register_fake
    with torchvision_importable():
        kept = torch.library.register_fake("torchvision::nobody_has_this")(len)
        assert kept is len
    assert torch.library.register_fake is register
