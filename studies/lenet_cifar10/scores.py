"""Two networks on the same images: what one gets right and the other does not."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BATCH = 250


@dataclass(frozen=True)
class Score:
    """Images classified correctly; of them `gained`, and `lost` besides, against a reference."""

    samples: int
    right: int
    gained: int
    lost: int
    agreement: float
    sqnr_db: float | None
    """Of the logits; None where they are on another scale than the reference's."""

    ties: int
    """Images whose greatest logit is shared by two classes; the first of them is the answer."""

    @property
    def percent(self) -> float:
        return 100 * self.right / self.samples

    @property
    def change(self) -> float:
        """Points of accuracy above the reference."""
        return 100 * (self.gained - self.lost) / self.samples


def in_batches(compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """compute(x), a part at a time."""
    with torch.no_grad():
        return torch.cat([compute(part) for part in torch.split(x, BATCH)])


def score(logits: Tensor, reference: Tensor, labels: Tensor, *, same_scale: bool = True) -> Score:
    """Logits (N, 10) judged by the labels (N,), and paired with a reference network's logits."""
    answers, expected = logits.argmax(1), reference.argmax(1)
    right, was_right = answers == labels, expected == labels
    return Score(
        samples=len(labels),
        right=int(right.sum()),
        gained=int((right & ~was_right).sum()),
        lost=int((was_right & ~right).sum()),
        agreement=(answers == expected).double().mean().item(),
        sqnr_db=sqnr_db(reference, logits) if same_scale else None,
        ties=int(((logits == logits.amax(1, keepdim=True)).sum(1) > 1).sum()),
    )


def sqnr_db(real: Tensor, approximate: Tensor) -> float | None:
    """Decibels of the power of `real` over that of the error; None without an error."""
    real, approximate = real.double(), approximate.double()
    noise = (real - approximate).square().sum().item()
    return 10 * math.log10(real.square().sum().item() / noise) if noise else None
