"""Whether a checkpoint belongs to the recipe of a module."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from zeropoint.train.assembly import QUANTIZERS

MOST = 5
"""Differences that are spelled out."""

Grids = dict[str, dict[str, Tensor]]
"""By the value's name and the tensor's."""


def differences(qat: nn.Module, state: Mapping[str, Any], *, strict: bool = True) -> list[str]:
    """In words, which grids the state has that the module has not, or has otherwise.

    If they are the same, which other tensors differ in shape, and if `strict` in name.
    """
    own = qat.state_dict()
    here, there = _grids(own), _grids(state)
    if not there:
        return ["it holds no grids, so it is of a model that was not prepared"]
    found = [f"{name} has a grid only here" for name in here.keys() - there.keys()]
    found += [f"{name} has a grid only there" for name in there.keys() - here.keys()]
    for name in here.keys() & there.keys():
        grids = _spelled(there[name]), _spelled(here[name])
        if grids[0] != grids[1]:
            found.append(f"{name} is {grids[0]} there, {grids[1]} here")
    found = found or _other_tensors(own, state, strict=strict)
    found.sort()
    rest = len(found) - MOST
    return [*found[:MOST], f"and {rest} more"] if rest > 0 else found


def _grids(state: Mapping[str, Any]) -> Grids:
    found: Grids = {}
    for name, tensor in state.items():
        path = name.split(".")
        if path[0] == QUANTIZERS and len(path) == 3 and isinstance(tensor, Tensor):
            found.setdefault(path[1].replace("/", "."), {})[path[2]] = tensor
    return found


def _spelled(grid: Mapping[str, Tensor]) -> str:
    """Bits and symmetry, and by its tensors what kind of grid it is."""
    bits, signed, symmetric = grid["widths"].tolist()
    kept = ", ".join(sorted(grid.keys() - {"widths"})) or "nothing"
    return f"{'' if symmetric else 'a'}symmetric {'i' if signed else 'u'}{bits} that keeps {kept}"


def _other_tensors(own: Mapping[str, Any], state: Mapping[str, Any], *, strict: bool) -> list[str]:
    found = []
    if strict:
        found += [f"{name!r} is only here" for name in own.keys() - state.keys()]
        found += [f"{name!r} is only there" for name in state.keys() - own.keys()]
    for name in own.keys() & state.keys():
        if isinstance(own[name], Tensor) and state[name].shape != own[name].shape:
            shapes = f"{tuple(state[name].shape)} there, {tuple(own[name].shape)} here"
            found.append(f"{name!r} is {shapes}")
    return found
