"""Getting other packages imported.

torchvision imports beside a CPU torch; and one module of a package that would import far more
than is installed, without the package's own `__init__`.
"""

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


@contextmanager
def torchvision_importable() -> Iterator[None]:
    """Inside, torchvision imports even if its compiled operators do not load.

    Its wheel is linked against CUDA. Beside a torch without it the operators are missing, and the
    registration of what they return for fake tensors fails; the architectures need none of them.
    """
    register = torch.library.register_fake

    def register_what_exists(op: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(op, str) and op.startswith("torchvision::"):
            return lambda function: function
        return register(op, *arguments, **keywords)

    torch.library.register_fake = register_what_exists
    try:
        yield
    finally:
        torch.library.register_fake = register


def module(name: str) -> Any:
    """The module, torchvision among what it may import."""
    with torchvision_importable():
        return importlib.import_module(name)


def module_without_init(name: str, **attributes: object) -> Any:
    """A module whose packages are not executed, only found: `attributes` stand in for theirs."""
    packages = name.split(".")[:-1]
    root = folder_of(packages[0])
    for depth in range(1, len(packages) + 1):
        empty = types.ModuleType(".".join(packages[:depth]))
        empty.__path__ = [str(root.joinpath(*packages[1:depth]))]
        vars(empty).update(attributes)
        sys.modules.setdefault(empty.__name__, empty)
    return module(name)


def folder_of(package: str) -> Path:
    """Where a package is, without importing it; ModuleNotFoundError if it is not installed."""
    if package in sys.modules:
        return Path(next(iter(sys.modules[package].__path__)))
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return Path(spec.submodule_search_locations[0])


def made_by(package: str, function: str, **options: object) -> Callable[[], torch.nn.Module]:
    """What builds `package.function(**options)`; the package is imported then, not now."""

    def make() -> torch.nn.Module:
        with torchvision_importable():  # a name that is looked up may import it
            made: torch.nn.Module = getattr(module(package), function)(**options)
        return made

    return make
