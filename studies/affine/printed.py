"""The numbers that the notebook printed, computed again."""

from dataclasses import dataclass

import torch
from torch import Tensor

from studies.affine.notebook import (
    ASYMMETRIC_CODES,
    ASYMMETRIC_VALUES,
    COMPLETED,
    PRINTED,
    SYMMETRIC_CODES,
    SYMMETRIC_VALUES,
    Quantizer,
    dequantize,
    quantize,
)

BITS = 8
DIGITS = 4


@dataclass(frozen=True)
class Agreement:
    """Of a printed tensor: its numbers, how many come out alike, and the largest difference.

    `same` is computed from the tensor as printed, `same_completed` from the one with a fifth digit
    in its extremes.
    """

    what: str
    numbers: int
    same: int
    largest_difference: float
    same_completed: int


def reproduce() -> list[Agreement]:
    found, completed = computed(PRINTED), computed(COMPLETED)
    published = {
        "asymmetric codes": ASYMMETRIC_CODES,
        "asymmetric values": ASYMMETRIC_VALUES,
        "symmetric codes": SYMMETRIC_CODES,
        "symmetric values": SYMMETRIC_VALUES,
    }
    return [
        agreement(what, numbers_in(text), found[what], completed[what])
        for what, text in published.items()
    ]


def computed(x: Tensor) -> dict[str, Tensor]:
    """The four tensors that the notebook prints, by the notebook's definitions."""
    codes, scale, zero_point = quantize(x, BITS)
    symmetric = Quantizer(BITS)
    symmetric_codes = symmetric.quantize(x, "symmetric")
    return {
        "asymmetric codes": codes,
        "asymmetric values": dequantize(codes, scale, zero_point),
        "symmetric codes": symmetric_codes,
        "symmetric values": symmetric.dequantize(symmetric_codes),
    }


def agreement(what: str, published: Tensor, found: Tensor, completed: Tensor) -> Agreement:
    return Agreement(
        what,
        numbers=len(published),
        same=same(published, found),
        largest_difference=(published - found.flatten().double()).abs().max().item(),
        same_completed=same(published, completed),
    )


def numbers_in(text: str) -> Tensor:
    return torch.tensor([float(number) for number in text.split()], dtype=torch.float64)


def same(published: Tensor, found: Tensor) -> int:
    """How many numbers print alike; zero has no sign there."""
    pairs = zip(published.tolist(), found.flatten().tolist(), strict=True)
    return sum(f"{a:z.{DIGITS}f}" == f"{b:z.{DIGITS}f}" for a, b in pairs)
