"""How far channels are brought together: levels for passes/equalize.py.

    f_c = (r_c / max_c r_c) ^ SHARE          r_c = max |x_c| over some images

One grid has to hold the largest channel, and so is too coarse for the others. With SHARE = 1 all
channels fill it; but what activations are rid of goes to the columns of weights, whose rows have
one scale each, and a channel that fills the grid has no room for what no image showed. SmoothQuant
(Xiao et al., arXiv:2211.10438, equation (4)) shares it likewise, half and half. Kin have the mean
of what each would take, in octaves.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from zeropoint.balance.kinship import FIXED, families
from zeropoint.batches import Inputs
from zeropoint.distributed import largest
from zeropoint.graph.channels_last import as_channels_last, channels_last
from zeropoint.graph.graph import Graph
from zeropoint.graph.walk import walk
from zeropoint.passes.equalize import OCTAVE
from zeropoint.recipe import Recipe

PART, SAMPLES = 0.25, 64
"""How many are looked at: a part of all, at most so many; the first in the order of samples.py,
which is not the loader's. Grids are chosen on all of them, and so leave the channels the room that
they need on images from which their levels do not come."""

SHARE = 0.5
LEAST = 2.0**-6
"""A channel counts as no smaller than this part of the largest."""


def levels_of(
    graph: Graph, one: Inputs, batches: Iterable[Inputs], recipe: Recipe
) -> Mapping[str, Tensor]:
    """The levels, uint8 (C,), of the values that are scaled."""
    kin = families(graph, one, recipe)
    scaled = {name: found for name, found in kin.items() if bool((found != FIXED).any())}
    if not scaled:
        return {}
    sizes = {name: largest(size) for name, size in _sizes(graph, batches, scaled).items()}
    level = _levels(graph, scaled, sizes)
    found = {name: level[channels] for name, channels in scaled.items()}
    return {name: levels for name, levels in found.items() if bool(levels.any())}


def _sizes(
    graph: Graph, batches: Iterable[Inputs], scaled: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The largest magnitude of each channel of the values that are scaled."""
    found = {name: torch.zeros(len(channels)) for name, channels in scaled.items()}
    fast = channels_last(graph)

    def listen(name: str, x: Any) -> None:
        if name in found:
            others = [axis for axis in range(x.ndim) if axis != 1]
            size = torch.linalg.vector_norm(x, math.inf, others).cpu()
            found[name] = torch.maximum(found[name], size)

    for inputs in batches:  # the user's code: not in inference mode
        with torch.inference_mode():
            walk(fast, [as_channels_last(x) for x in inputs], listener=listen)
    return found


def _levels(graph: Graph, scaled: Mapping[str, Tensor], sizes: Mapping[str, Tensor]) -> Tensor:
    """The level of each family, uint8."""
    count = 1 + max(int(found.max()) for found in scaled.values())
    octaves, members = torch.zeros(count, dtype=torch.float64), torch.zeros(count)
    for name, found in scaled.items():
        size = sizes[name].to(torch.float64)
        top = size.max()
        seen = (size > 0) & top.isfinite()
        below = (size / top).clamp(min=LEAST).log2().neg()
        octaves.index_add_(0, found[seen], below[seen])
        members.index_add_(0, found[seen], torch.ones(int(seen.sum())))
    level = (OCTAVE * SHARE * octaves / members.clamp(min=1)).floor()
    for node in graph.nodes:
        bounds = [abs(b) for b in _bounds(node.op) if b]
        if bounds and node.output in scaled:
            # No channel is cut off where it was seen.
            most = (OCTAVE * (min(bounds) / sizes[node.output].to(torch.float64)).log2()).floor()
            level.scatter_reduce_(0, scaled[node.output], most.clamp(min=0), "amin")
    level[FIXED] = 0
    return level.to(torch.uint8)


def _bounds(op: object) -> tuple[float | None, float | None]:
    return getattr(op, "low", None), getattr(op, "high", None)
