"""Looking at a model without changing it."""

import copy
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

CONTAINERS = (list, dict, set, deque, OrderedDict, defaultdict)
OF_TORCH = {"_buffers", "_parameters", "_modules"}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model with every training flag off; each flag is put back as it was, whatever happens.

    The flags are set directly, since a model's own `train()` may do more than set them.
    """
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield model
    finally:
        for module, training in flags:
            module.training = training


@contextmanager
def unchanged(model: nn.Module) -> Iterator["Remembered"]:
    """What the model was like; its attributes and buffers are put back, whatever happens."""
    before = Remembered(model)
    try:
        yield before
    finally:
        before.restore()


class Remembered:
    """The attributes of a model's modules and the contents of its buffers, at one time.

    Lists, dicts and sets that are attributes are remembered with what is in them.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = dict(model.named_modules())
        self._attributes = {path: dict(vars(module)) for path, module in self._modules.items()}
        self._inside = {
            (path, name): copy.copy(item)
            for path, attributes in self._attributes.items()
            for name, item in attributes.items()
            if type(item) in CONTAINERS
        }
        self._tensors = {
            (path, name): (tensor, tensor.detach().clone())
            for path, module in self._modules.items()
            for name, tensor in _tensors(module)
        }

    def changes(self) -> list[str]:
        """The names of the attributes and buffers that are not as they were, sorted."""
        found = {
            _joined(path, name)
            for (path, name), (tensor, was) in self._tensors.items()
            if not _is_same(tensor, was)
        }
        for path, module in self._modules.items():
            now, before = vars(module), self._attributes[path]
            for name in (now.keys() | before.keys()) - {"training"}:
                was = self._inside.get((path, name), before.get(name))
                if name not in now or name not in before or _differs(now[name], was):
                    found.add(_joined(path, name))
            for name, buffer in self._inside.get((path, "_buffers"), {}).items():
                if module._buffers.get(name) is not buffer:
                    found.add(_joined(path, name))
        return sorted(name for name in found if name.rpartition(".")[2] not in OF_TORCH)

    def restore(self) -> None:
        """Put everything back."""
        for path, module in self._modules.items():
            attributes: Any = module.__dict__  # a dict, whatever its type says
            training = module.training
            attributes.clear()
            attributes.update(self._attributes[path])
            module.training = training
        for (path, name), was in self._inside.items():
            item = self._attributes[path][name]
            item.clear()
            item.extend(was) if isinstance(item, list | deque) else item.update(was)
        for tensor, was in self._tensors.values():
            if not _is_same(tensor, was):
                with torch.no_grad():
                    tensor.copy_(was)


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Buffers, and tensors that are plain attributes."""
    everything: dict[str, Any] = {**vars(module), **module._buffers}
    for name, item in everything.items():
        if isinstance(item, Tensor) and not item.is_meta:
            yield name, item


def _is_same(tensor: Tensor, was: Tensor) -> bool:
    if tensor.shape != was.shape or tensor.dtype != was.dtype:
        return False
    return torch.equal(tensor.detach().nan_to_num(), was.nan_to_num())


def _differs(now: Any, before: Any) -> bool:  # attributes may be anything
    if now is before:
        return False
    if isinstance(now, Tensor) or isinstance(before, Tensor):
        return True
    try:
        return bool(now != before)
    except Exception:  # whatever the user's __ne__ raises, as for tensors within lists
        return True


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
