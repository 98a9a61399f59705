"""What sums of products can reach, from the actual weights and grids: nothing is run.

    acc = sum_i (q_x,i - z_x) w_i + q_b           low <= q_x <= high

Each term is least or greatest on its own, so the bounds are reached by some input. Padding adds
zeros, which lie between them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

INT16_LOW, INT16_HIGH = -(2**15), 2**15 - 1


@dataclass(frozen=True)
class Range:
    """Inclusive bounds, float64 (O,): exact integers below 2^53."""

    low: Tensor
    high: Tensor

    @property
    def largest(self) -> Tensor:
        """The greater magnitude of the two."""
        return torch.maximum(-self.low, self.high)


def sum_range(rows: Tensor, bias: Tensor, low: int, high: int) -> Range:
    """Of every partial sum of an accumulator, in any order, with the bias first or last.

    `rows` (O, K) are the centred weights q_w - z_w, `low <= 0 <= high` the ends of q_x - z_x.
    """
    positive, negative = rows.clamp(min=0.0).sum(1), rows.clamp(max=0.0).sum(1)
    return Range(
        positive * low + negative * high + bias.clamp(max=0.0),
        positive * high + negative * low + bias.clamp(min=0.0),
    )


def pair_range(rows: Tensor, high: int) -> Range:
    """Of the sum of any two products q_x w, codes q_x from 0 to `high` as they are stored.

    Kernels without VNNI add two such products in 16 bits, where they saturate. Which two are added
    is the kernel's business, so any two are.
    """
    two = min(2, rows.shape[1])
    greatest = rows.topk(two, dim=1).values.clamp(min=0.0).sum(1)
    least = rows.topk(two, dim=1, largest=False).values.clamp(max=0.0).sum(1)
    return Range(least * high, greatest * high)


def saturating_pairs(rows: Tensor, high: int) -> Tensor:
    """The channels, bool (O,), in which the sum of two products can leave 16 bits."""
    range = pair_range(rows, high)
    return (range.low < INT16_LOW) | (range.high > INT16_HIGH)
