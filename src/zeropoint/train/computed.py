"""Tensors that a module computes before it uses them: masks, norms, parametrizations.

    torch.nn.utils.parametrize          a property of the module: reading it computes it
    torch.nn.utils.prune                a hook in front of forward(), which sets the attribute
    torch.nn.utils.weight_norm          such a hook
    torch.nn.utils.spectral_norm        such a hook

In training they are computed by the user's own modules, in their own mode, whenever a layer reads
them: masks hold, power iterations go on, gradients reach the parameters that have names.
"""

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from zeropoint.capture.evaluating import evaluating
from zeropoint.errors import TrainingError

Hook = Callable[..., object]


def computed_names(model: nn.Module) -> set[str]:
    """The names of all tensors that the model computes before it uses them."""
    found = set()
    for path, module in model.named_modules(remove_duplicate=False):
        found |= {f"{path}.{name}".lstrip(".") for name in _names_in(module)}
    return found


def read(module: nn.Module, name: str) -> Tensor:
    """A module's tensor as its next forward() would have it, with gradients to its parameters."""
    for hook in _hooks(module, name):
        hook(module, ())
    tensor: Tensor = getattr(module, name)
    if name in module.__dict__ and tensor.grad_fn is not None:
        module.__dict__[name] = tensor.detach()  # a module that holds a result cannot be copied
    return tensor


def without(model: nn.Module) -> nn.Module:
    """A copy of the model that has parameters where the model computes tensors."""
    plain = copied(model)
    with evaluating(plain), torch.no_grad():
        for module in plain.modules():
            _settle(module, list(_names_in(module)))
    return plain


def copied(model: nn.Module) -> nn.Module:
    """A deep copy; results of computations that the model keeps are copied as they are.

    TrainingError if something in the model cannot be copied.
    """
    memo = {
        id(tensor): tensor.detach().clone()
        for module in model.modules()
        for tensor in _results(list(module.__dict__.values()))
    }
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:  # whatever the user's members raise
        raise TrainingError(
            f"{type(model).__name__} cannot be copied, and training needs a copy: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}; take what "
            "cannot be copied out of its attributes"
        ) from error


def _settle(module: nn.Module, names: Sequence[str]) -> None:
    """Make parameters of what the module computes; its class, which others share, stays whole."""
    values = {name: read(module, name).detach().clone() for name in names}
    if parametrize.is_parametrized(module):
        module.__class__ = parametrize.type_before_parametrizations(module)
        del module._modules["parametrizations"]
    for key, hook in list(module._forward_pre_hooks.items()):
        if _written_by(hook) is not None:
            del module._forward_pre_hooks[key]
    for name, value in values.items():
        module.__dict__.pop(name, None)
        module._parameters[name] = nn.Parameter(value)


def _names_in(module: nn.Module) -> Iterator[str]:
    if parametrize.is_parametrized(module):
        parametrizations = module.parametrizations
        assert isinstance(parametrizations, nn.ModuleDict)  # torch registers no other
        yield from parametrizations
    yield from dict.fromkeys(
        name for hook in module._forward_pre_hooks.values() if (name := _written_by(hook))
    )


def _hooks(module: nn.Module, name: str) -> list[Hook]:
    if not module._forward_pre_hooks:
        return []
    return [hook for hook in module._forward_pre_hooks.values() if _written_by(hook) == name]


def _written_by(hook: Hook) -> str | None:
    """The attribute that a hook of torch's computes; None for other hooks."""
    if isinstance(hook, prune.BasePruningMethod):
        return hook._tensor_name
    if isinstance(hook, WeightNorm | SpectralNorm):
        return hook.name
    return None


def _results(values: list[object]) -> Iterator[Tensor]:
    """Tensors that autograd computed, in attributes and in lists and dicts of them."""
    for value in values:
        if isinstance(value, Tensor) and value.grad_fn is not None:
            yield value
        elif isinstance(value, dict):
            yield from _results(list(value.values()))
        elif isinstance(value, list | tuple):
            yield from _results(list(value))
