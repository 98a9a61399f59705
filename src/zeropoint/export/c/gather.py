"""What only moves elements, as offsets into the input: one table for each axis of the output.

    out[i, j, k, l] = in[a[i] + b[j] + c[k] + d[l]]

The tables come from the operator itself, which is run once on the numbers of the elements.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from zeropoint.graph.op import Op

LOOPS = 4


def offsets(op: Op, shape: Sequence[int], sizes: Sequence[int]) -> list[Tensor] | None:
    """One table for each of LOOPS axes; None if the elements stay where they are."""
    numbers = torch.arange(math.prod(shape)).reshape(tuple(shape))
    found = op.run(numbers.to(torch.float64), *sizes).to(torch.int64)
    if torch.equal(found.flatten(), numbers.flatten()):
        return None
    tables = [_along(found, axis) for axis in range(found.ndim)]
    total = torch.zeros((), dtype=torch.int64)
    for table in tables:
        total = total[..., None] + table
    if not torch.equal(total.reshape(found.shape), found):
        raise ValueError(f"{op.name} moves elements in a way that has no tables")
    return _merged(tables)


def axis_of_channels(op: Op, shape: Sequence[int], axis: int) -> int:
    """The axis of the result that is `axis` of the operand; ValueError if none is."""
    extent = shape[axis]
    index = torch.arange(extent).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    found = op.run(index.expand(tuple(shape)).contiguous())
    for place, size in enumerate(found.shape):
        along = [-1 if i == place else 1 for i in range(found.ndim)]
        if size == extent and bool((found == torch.arange(extent).reshape(along)).all()):
            return place
    raise ValueError(f"{op.name} takes channels apart that have a scale each")


def _along(found: Tensor, axis: int) -> Tensor:
    """How the numbers change along one axis; along the first, from zero."""
    first = found[tuple(slice(None) if place == axis else 0 for place in range(found.ndim))]
    return first if axis == 0 else first - first[0]


def _merged(tables: list[Tensor]) -> list[Tensor]:
    """As many tables as there are loops: short ones are multiplied out."""
    while len(tables) > LOOPS:
        costs = [len(a) * len(b) for a, b in pairwise(tables)]
        at = costs.index(min(costs))
        both = (tables[at][:, None] + tables[at + 1]).flatten()
        tables = [*tables[:at], both, *tables[at + 2 :]]
    return [*[torch.zeros(1, dtype=torch.int64)] * (LOOPS - len(tables)), *tables]
