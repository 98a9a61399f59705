"""The user's parameters and buffers by their names, in a module that adopted the user's.

A name may also stand for what is computed from them: by the user's modules (computed.py), or as a
tape has seen it (capture/tape.py). Then it is computed whenever it is asked for.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from zeropoint.capture.tape import Computation
from zeropoint.errors import TrainingError
from zeropoint.train.computed import computed_names, copied, read

USERS, COMPUTATIONS = "users_model", "computations"
"""Attributes of the adopting module that are no children of it."""


def adopt(parent: nn.Module, model: nn.Module, reserved: Collection[str]) -> None:
    """Give the parent copies of all children, parameters and buffers of the model.

    The copied model itself stays behind as `users_model`, over the same members: its own train()
    and what else its class defines. TrainingError if a member has a reserved name, or that of an
    attribute of the parent's.
    """
    model = copied(model)
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
    for members in ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set"):
        model.__dict__[members] = parent.__dict__[members]
    parent.__dict__[USERS] = model


def follow(parent: nn.Module, computations: Mapping[str, Computation]) -> None:
    """Let these names stand for what is computed."""
    parent.__dict__[COMPUTATIONS] = dict(computations)


def names_of(model: nn.Module) -> set[str]:
    """The names of all parameters, buffers and computed tensors, shared ones under each name."""
    parameters = model.named_parameters(remove_duplicate=False)
    buffers = model.named_buffers(remove_duplicate=False)
    own = {name for name, _ in (*parameters, *buffers)}
    computations: Mapping[str, Computation] = model.__dict__.get(COMPUTATIONS, {})
    return own | computed_names(_users(model)) | computations.keys()


def is_computed(module: nn.Module, name: str) -> bool:
    """True for a name that stands for a computation, whose result cannot be written to."""
    if name in module.__dict__.get(COMPUTATIONS, {}):
        return True
    owner, _, own = name.rpartition(".")
    parent = module.get_submodule(owner)
    return own not in parent._parameters and own not in parent._buffers


def tensor_at(module: nn.Module, name: str) -> Tensor:
    """The tensor of that name, as it is now."""
    computation: Computation | None = module.__dict__.get(COMPUTATIONS, {}).get(name)
    if computation is not None:
        return computation.run(lambda source: tensor_at(module, source), _like(module))
    owner, _, own = name.rpartition(".")
    return read(module.get_submodule(owner) if owner else _users(module), own)


def _like(module: nn.Module) -> Tensor:
    """A tensor with the device and the dtype of the module."""
    return next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))


def _users(module: nn.Module) -> nn.Module:
    found = module.__dict__.get(USERS, module)
    assert isinstance(found, nn.Module)  # adopt() writes no other
    return found


def put(module: nn.Module, name: str, tensor: Tensor, *, is_trained: bool) -> None:
    """Make the tensor a parameter of that name, in the place of what was there."""
    owner, _, own = name.rpartition(".")
    parent = module.get_submodule(owner)
    if own in parent._buffers:
        del parent._buffers[own]
    parent.register_parameter(own, nn.Parameter(tensor.detach().clone(), is_trained))
