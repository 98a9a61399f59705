"""SOURCE, as the shell spells it, becomes the user's `nn.Module`.

    path/to/net.py:factory     a function, or a module already built, in a file
    package.module:factory     the same in something importable from here
    model.pt2                  what `torch.export.save` wrote

The first two run the user's own code, as importing it would. Weights are read as tensors only
(`.safetensors`, or anything `torch.load` reads with `weights_only=True`), and every key must fit,
but for keys around them and a prefix of all names: `{"state_dict": {"module.conv.weight": ...}}`.
"""

import contextlib
import difflib
import importlib
import importlib.util
import pickle
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.export import ExportedProgram

from zeropoint import notice
from zeropoint.errors import FileError

SHOWN_KEYS = 3
DEEPEST = 3
"""Checkpoints lie at most so many dicts deep."""

AVERAGED = "n_averaged"
"""What torch.optim.swa_utils.AveragedModel keeps beside the module's weights."""


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
    """Fills every parameter and buffer from the file, or raises and names some that do not fit.

    Tensors may lie deeper, as in {"state_dict": ...}, and under a prefix, as in "module.": both are
    taken off, with a notice, where only one way leads to all of the model's names.
    """
    path = path.expanduser()
    expected = model.state_dict()
    taken = chosen(read_weights(path), expected, path)
    found, where = dict(taken.tensors), f", taken from under {taken}" if str(taken) else ""
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    if missing or unexpected:
        raise FileError(f"{path}{where} does not fit the model: {told(missing, unexpected)}")
    misfits = [key for key, tensor in found.items() if tensor.shape != expected[key].shape]
    if misfits:
        shapes = [
            f"{key} has the shape {tuple(found[key].shape)}, expected {tuple(expected[key].shape)}"
            for key in misfits
        ]
        raise FileError(f"{path}{where} does not fit the model: {some(shapes)}")
    model.load_state_dict(found)


def told(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    """A few of the names that are not there, and of those that should not be."""
    parts = (("missing", missing), ("unexpected", unexpected))
    return "; ".join(f"{title} {some(list(keys))}" for title, keys in parts if keys)


@dataclass(frozen=True)
class Candidate:
    """Tensors by name, the keys that they lie under in the file, and the prefix of their names."""

    tensors: Mapping[str, Tensor]
    keys: tuple[str, ...] = ()
    prefix: str = ""

    def __str__(self) -> str:
        under = "".join(f"[{key!r}]" for key in self.keys)
        prefix = f"the prefix {self.prefix!r}" if self.prefix else ""
        return " and ".join(filter(None, (under and f"the key {under}", prefix)))


def chosen(content: Mapping[str, object], expected: Mapping[str, Tensor], path: Path) -> Candidate:
    """The one candidate with all of the expected names; else the nearest one, to be complained of.

    FileError if there is none, or if several fit and differ.
    """
    if content.keys() == {"state", "param_groups"}:
        raise FileError(f"{path} holds the state of an optimizer, and no weights of a model")
    found = list(candidates(content))
    if not found:
        raise FileError(
            f"{path} holds a dict with the keys {some(list(map(str, content)))}, and no tensors by "
            "name in it: save model.state_dict()"
        )
    fitting = [one for one in found if one.tensors.keys() == expected.keys()]
    whole = [one for one in fitting if not one.keys and not one.prefix]
    if whole:
        return whole[0]
    if len(fitting) > 1 and not all(same(one.tensors, fitting[0].tensors) for one in fitting):
        ways = "; ".join(map(str, fitting))
        raise FileError(f"{path} holds several sets of weights that fit: {ways}; save one of them")
    if fitting:
        notice.warn(f"{path}: the weights are taken from under {fitting[0]}", UserWarning)
        return fitting[0]
    return max(found, key=lambda one: len(one.tensors.keys() & expected.keys()))


def candidates(content: Mapping[str, object], keys: tuple[str, ...] = ()) -> Iterator[Candidate]:
    """Each dict of tensors in a checkpoint, as it is and without what stands before every name."""
    tensors = {str(name): item for name, item in content.items() if isinstance(item, Tensor)}
    if tensors and len(tensors) == len(content):
        yield Candidate(dict(tensors), keys)
        tensors.pop(AVERAGED, None)
        prefix = ""
        while part := common_prefix(tensors):
            prefix += part
            tensors = {name.removeprefix(part): item for name, item in tensors.items()}
            yield Candidate(tensors, keys, prefix)
    for name, item in content.items():
        if isinstance(item, Mapping) and len(keys) < DEEPEST:
            yield from candidates(item, (*keys, str(name)))


def common_prefix(names: Iterable[str]) -> str:
    """The first part of every name, with its dot, if they all begin with the same and go on."""
    parts = {name.partition(".")[0] for name in names if "." in name}
    return f"{parts.pop()}." if len(parts) == 1 and all("." in name for name in names) else ""


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def read_weights(path: Path) -> Mapping[str, object]:
    """What a checkpoint holds; tensors and plain data only, and nothing in it is executed."""
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
    if not isinstance(found, Mapping):
        raise FileError(
            f"{path} holds a {kind(found)}; expected tensors by name: save model.state_dict()"
        )
    return found


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
