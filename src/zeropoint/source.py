"""SOURCE, as the shell spells it, becomes the user's `nn.Module`.

    path/to/net.py:factory     a function, or a module already built, in a file
    package.module:factory     the same in something importable from here
    model.pt2                  what `torch.export.save` wrote

The first two run the user's own code, as importing it would. Weights are read as tensors only
(`.safetensors`, or anything `torch.load` reads with `weights_only=True`), and every key must fit.
"""

import contextlib
import difflib
import importlib
import importlib.util
import pickle
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.export import ExportedProgram

from zeropoint.errors import FileError

SHOWN_KEYS = 3


def load_model(source: str, *, weights: Path | None = None) -> nn.Module:
    """The module that SOURCE names, with `weights` loaded into it.

    Raises `FileError` in one sentence: nothing there, a misspelt name, a factory that fails or
    returns something else, weights that do not fit. The module's training flag is left alone.
    """
    if source.endswith(".pt2"):
        return exported(Path(source).expanduser(), weights)
    location, separator, name = source.rpartition(":")
    if not separator or not location or not name:
        raise FileError(
            f"{source} is no model; expected path/to/file.py:factory, package.module:factory "
            "or a .pt2 file"
        )
    with importable(location):
        model = built(import_code(location), name, source)
    if weights is not None:
        load_weights(model, weights)
    return model


def exported(path: Path, weights: Path | None) -> nn.Module:
    if weights is not None:
        raise FileError(f"{path} brings its own weights; leave out {weights}")
    require_file(path)
    try:
        program = torch.export.load(path)
    except Exception as error:  # a zip, JSON, pickle or torch error, by what is damaged
        raise FileError(
            f"{path} is not a program saved by torch.export.save: {first_line(error)}"
        ) from error
    for name, x in user_inputs(program):
        if isinstance(x.shape[0], int):
            raise FileError(
                f"{path} was exported for batches of exactly {x.shape[0]} ({name}); export it with "
                "dynamic_shapes that leave dimension 0 free, as in ({0: Dim.AUTO},)"
            )
    return program.module()


def user_inputs(program: ExportedProgram) -> Iterator[tuple[str, Tensor]]:
    """Names and example tensors of what the user passes in, scalars left out."""
    names = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        x = node.meta.get("val")
        if node.name in names and isinstance(x, Tensor) and x.ndim:
            yield node.name, x


# --- the user's code ---------------------------------------------------------------------------


@contextlib.contextmanager
def importable(location: str) -> Iterator[None]:
    """Imports see what `python file.py` or `python -m module` would: the file's folder, or here."""
    folder = Path(location).expanduser().parent if location.endswith(".py") else Path()
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))


def import_code(location: str) -> ModuleType:
    if location.endswith(".py"):
        return import_file(Path(location).expanduser())
    try:
        return importlib.import_module(location)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{location}.".startswith(f"{error.name}."):
            raise FileError(f"importing {location} failed: {first_line(error)}") from error
        raise FileError(
            f"there is no module {error.name} here; for a file write its path, as in net.py:factory"
        ) from error
    except Exception as error:  # whatever the user's code raises
        raise FileError(f"importing {location} failed: {described(error)}") from error


def import_file(path: Path) -> ModuleType:
    require_file(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    displaced = sys.modules.get(path.stem)
    sys.modules[path.stem] = module  # dataclasses and torch look a class's module up by its name
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises
        if displaced is None:
            del sys.modules[path.stem]
        else:
            sys.modules[path.stem] = displaced
        raise FileError(f"importing {path} failed: {described(error)}") from error
    return module


def built(module: ModuleType, name: str, source: str) -> nn.Module:
    """The module that `name` is, or that calling it returns."""
    if not hasattr(module, name):
        raise FileError(f"{source} is not there: {nearest(name, module)}")
    value = getattr(module, name)
    if not isinstance(value, nn.Module):
        if not callable(value):
            raise FileError(f"{source} is a {kind(value)}; expected a function without arguments")
        try:
            value = value()
        except Exception as error:  # whatever the user's code raises
            raise FileError(f"{source} failed when called: {described(error)}") from error
    if not isinstance(value, nn.Module):
        raise FileError(f"{source} returned a {kind(value)}; expected a torch.nn.Module")
    return value


def nearest(name: str, module: ModuleType) -> str:
    present = [key for key, value in vars(module).items() if key[0] != "_" and callable(value)]
    near = difflib.get_close_matches(name, present, n=1)
    if near:
        return f"did you mean {near[0]}?"
    own = [key for key in present if getattr(module, key).__module__ == module.__name__]
    return f"it defines {', '.join(own) or 'nothing that could be called'}"


# --- weights -----------------------------------------------------------------------------------


def load_weights(model: nn.Module, path: Path) -> None:
    """Fills every parameter and buffer from the file, or raises and names some that do not fit."""
    found = read_weights(path)
    expected = model.state_dict()
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    if missing or unexpected:
        raise FileError(
            f"{path} does not fit the model: "
            + "; ".join(
                f"{title} {some(keys)}"
                for title, keys in (("missing", missing), ("unexpected", unexpected))
                if keys
            )
        )
    for key, tensor in found.items():
        if tensor.shape != expected[key].shape:
            raise FileError(
                f"{path} does not fit the model: {key} has the shape {tuple(tensor.shape)}, "
                f"expected {tuple(expected[key].shape)}"
            )
    model.load_state_dict(found)


def read_weights(path: Path) -> dict[str, Tensor]:
    path = path.expanduser()
    require_file(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FileError(
            f"{path} is damaged or holds more than tensors, and nothing in it is executed: "
            "save model.state_dict()"
        ) from error
    except Exception as error:  # torch's reader raises almost anything on foreign bytes
        raise FileError(f"{path} cannot be read as weights: {first_line(error)}") from error
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        keys = f" with the keys {some(list(found))}" if isinstance(found, Mapping) else ""
        raise FileError(
            f"{path} holds a {kind(found)}{keys}; expected tensors by name: save model.state_dict()"
        )
    return dict(found)


def some(keys: list[str]) -> str:
    """A few of the names, and how many more there are."""
    shown = ", ".join(map(str, keys[:SHOWN_KEYS]))
    more = len(keys) - SHOWN_KEYS
    return f"{shown} and {more} more" if more > 0 else shown


def require_file(path: Path) -> None:
    if not path.is_file():
        raise FileError(f"{path} does not exist" if not path.exists() else f"{path} is a folder")


def kind(value: object) -> str:
    return type(value).__name__


def described(error: Exception) -> str:
    return f"{kind(error)}: {first_line(error)}"


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), kind(error))
