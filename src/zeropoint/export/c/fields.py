"""Numbers that steps of several kinds are given: stored codes and multipliers."""

import torch
from torch import Tensor

from zeropoint.arithmetic.fixed_point import Multiplier
from zeropoint.arithmetic.qparams import QParams
from zeropoint.export.c.codes import codes
from zeropoint.export.c.step import Array

ONE = (1 << 30, 1)
"""The multiplier 1: what it multiplies stays exactly what it is."""


def stored(name: str, entries: Tensor, params: QParams) -> Array:
    """Codes on a grid as they are stored."""
    stored = entries.to(torch.int32) + codes(params).offset
    return Array(name, "uint8_t", tuple(stored.tolist()))


def each(by: Multiplier, channels: int) -> tuple[tuple[int, int], ...]:
    """The members of `struct multiplier` for each channel."""
    members = pairs(by)
    return members * channels if len(members) == 1 else members


def pairs(by: Multiplier) -> tuple[tuple[int, int], ...]:
    """The members of `struct multiplier`, one after the other."""
    return tuple(zip(by.mantissa.flatten().tolist(), by.exponent.flatten().tolist(), strict=True))


def one(by: Multiplier) -> tuple[int, int]:
    """The only one."""
    (pair,) = pairs(by)
    return pair
