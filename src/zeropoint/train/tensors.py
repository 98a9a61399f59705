"""The user's parameters and buffers by their names, in a module that adopted the user's."""

import copy

from torch import Tensor, nn


def adopt(parent: nn.Module, model: nn.Module) -> None:
    """Give the parent copies of all children, parameters and buffers of the model."""
    model = copy.deepcopy(model)
    for name, child in model.named_children():
        parent.add_module(name, child)
    for name, parameter in model.named_parameters(recurse=False):
        parent.register_parameter(name, parameter)
    for name, buffer in model.named_buffers(recurse=False):
        parent.register_buffer(name, buffer)


def names_of(model: nn.Module) -> set[str]:
    """The names of all parameters and buffers, shared ones under each of their names."""
    parameters = model.named_parameters(remove_duplicate=False)
    buffers = model.named_buffers(remove_duplicate=False)
    return {name for name, _ in (*parameters, *buffers)}


def tensor_at(module: nn.Module, name: str) -> Tensor:
    """The parameter or buffer of that name, as it is now."""
    owner, _, own = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(owner), own)
    return tensor


def put(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Make the tensor a parameter of that name, in the place of what was there."""
    owner, _, own = name.rpartition(".")
    parent = module.get_submodule(owner)
    if own in parent._buffers:
        del parent._buffers[own]
    parent.register_parameter(own, nn.Parameter(tensor.detach().clone()))
