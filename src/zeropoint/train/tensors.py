"""The user's parameters and buffers by their names, in a module that adopted the user's."""

import copy
from collections.abc import Collection

from torch import Tensor, nn

from zeropoint.errors import TrainingError


def adopt(parent: nn.Module, model: nn.Module, reserved: Collection[str]) -> None:
    """Give the parent copies of all children, parameters and buffers of the model.

    TrainingError if one has a reserved name, or that of an attribute of the parent's.
    """
    model = copy.deepcopy(model)
    own = [*model._modules, *model._parameters, *model._buffers]
    taken = [name for name in own if name in reserved or hasattr(parent, name)]
    if taken:
        raise TrainingError(
            f"the model has a member named {taken[0]!r}, as the module in training has; rename it"
        )
    # Not by named_children() and the like, which leave out second names of what is shared.
    for name, child in model._modules.items():
        parent.add_module(name, child)
    for name, parameter in model._parameters.items():
        parent.register_parameter(name, parameter)
    for name, buffer in model._buffers.items():
        persistent = name not in model._non_persistent_buffers_set
        parent.register_buffer(name, buffer, persistent=persistent)


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
    """Make the tensor a parameter of that name, in the place of what was there.

    One that was not trained is not trained.
    """
    owner, _, own = name.rpartition(".")
    parent = module.get_submodule(owner)
    before = parent._parameters.get(own)
    is_trained = before is None or before.requires_grad
    if own in parent._buffers:
        del parent._buffers[own]
    parent.register_parameter(own, nn.Parameter(tensor.detach().clone(), is_trained))
