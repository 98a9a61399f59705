"""Whether a checkpoint belongs to the recipe of a module."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from zeropoint.train.assembly import QUANTIZERS

WIDTHS = ".widths"
MOST = 5
"""Differences that are spelled out."""


def differences(qat: nn.Module, state: Mapping[str, Any]) -> list[str]:
    """In words, which grids the state has that the module has not, or has with other bits."""
    here, there = _widths(qat.state_dict()), _widths(state)
    if not there:
        return ["it holds no grids, so it is of a model that was not prepared"]
    found = [
        f"{name} is {_spelled(there[name])} there, {_spelled(here[name])} here"
        for name in here.keys() & there.keys()
        if here[name] != there[name]
    ]
    found += [f"{name} has a grid only here" for name in here.keys() - there.keys()]
    found += [f"{name} has a grid only there" for name in there.keys() - here.keys()]
    found.sort()
    rest = len(found) - MOST
    return [*found[:MOST], f"and {rest} more"] if rest > 0 else found


def _widths(state: Mapping[str, Any]) -> dict[str, list[int]]:
    prefix = f"{QUANTIZERS}."
    return {
        name.removeprefix(prefix).removesuffix(WIDTHS).replace("/", "."): tensor.tolist()
        for name, tensor in state.items()
        if name.startswith(prefix) and name.endswith(WIDTHS) and isinstance(tensor, Tensor)
    }


def _spelled(widths: list[int]) -> str:
    bits, signed, low, high = widths
    return f"{'i' if signed else 'u'}{bits} in [{low}, {high}]"
