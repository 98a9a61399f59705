"""Sizes that the capture fixes although the model does not.

    y = y[:, :, : int(x.shape[2])]        the graph holds for one height only

A linear layer behind a flatten fixes the image as well, but there the model itself takes no other.
So the model is asked: a size is worth a warning if the model runs on another one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zeropoint.graph.graph import Graph
from zeropoint.graph.structure import leaves_of
from zeropoint.notice import warn

NAMES = {3: ("length",), 4: ("height", "width"), 5: ("depth", "height", "width")}
"""Of the dimensions after batch and channels, by the number of all."""


def warn_of_fixed_sizes(model: nn.Module, example: Sequence[Tensor], graph: Graph) -> None:
    """One warning for each input of the graph whose sizes the model would leave free."""
    for index, (name, x) in enumerate(zip(graph.inputs, example, strict=False)):
        shape = graph.values[name].shape
        # torch takes an extent of 1 for a constant of the model: the example says nothing about it.
        fixed = [axis for axis in range(2, len(shape)) if shape[axis] == x.shape[axis] > 1]
        free = [axis for axis in fixed if _runs_on(model, example, index, [axis])]
        if fixed and not free and _runs_on(model, example, index, fixed):
            free = fixed
        if free and len(shape) in NAMES:
            warn(_sentence(name, shape, free))


def batch_is_fixed(graph: Graph) -> bool:
    """True if no input of the graph takes another number along its first dimension."""
    shapes = [graph.values[name].shape for name in graph.inputs]
    return not any(isinstance(shape[0], str) for shape in shapes if shape)


def warn_of_fixed_batch(model: nn.Module, graph: Graph, line: str) -> None:
    """One warning that names the line of the model behind it."""
    shapes = [graph.values[name].shape for name in graph.inputs]
    given = ", ".join(
        f"{name!r} ({', '.join(map(str, shape))})"
        for name, shape in zip(graph.inputs, shapes, strict=True)
    )
    warn(
        f"{type(model).__name__} fixes the first dimension of its input{_at(line)}: the quantized "
        f"network takes {given} and nothing else; if that is the batch, write x.shape[0] or -1 "
        "where a number stands for it"
    )


def _at(line: str) -> str:
    return f", at {line}" if line else ""


def _sentence(name: str, shape: Sequence[int | str], axes: Sequence[int]) -> str:
    names = " and the ".join(NAMES[len(shape)][axis - 2] for axis in axes)
    sizes = " x ".join(str(shape[axis]) for axis in axes)
    return (
        f"the model fixes the {names} of its input {name!r} to {sizes}: the quantized network "
        "takes no other, though the model does; its forward() turns a size into a number or "
        "compares it, as int(x.shape[2]) does, or a pool leaves one pixel of this input"
    )


def _runs_on(model: nn.Module, example: Sequence[Tensor], index: int, axes: Sequence[int]) -> bool:
    """True if the model takes the example's first sample with twice the extent along some axes.

    x.reshape(-1, 192) takes a larger image as well: for more samples. That is not what is meant.
    """
    samples = [x[:1] for x in example]
    larger = list(samples)
    for axis in axes:
        larger[index] = torch.cat([larger[index]] * 2, axis)
    try:
        with torch.no_grad():
            return _batches(model(*larger)) == _batches(model(*samples))
    except Exception:  # whatever the user's code raises
        return False


def _batches(outputs: Any) -> list[int]:
    return [len(y) for y in leaves_of(outputs) if isinstance(y, Tensor) and y.ndim]
