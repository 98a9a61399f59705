"""The memory format that float convolutions are fastest with."""

from dataclasses import replace

import torch
from torch import Tensor

from zeropoint.graph.graph import Graph


def channels_last(graph: Graph) -> Graph:
    """The graph with the weights of its convolutions in channels_last."""
    constants = {name: as_channels_last(tensor) for name, tensor in graph.constants.items()}
    return replace(graph, constants=constants)


def as_channels_last(x: Tensor) -> Tensor:
    """An image tensor (N, C, H, W) in channels_last; any other tensor as it is."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
