"""Grids for training to begin on."""

from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.observe.calibrator import grid_over
from zeropoint.train.method import Start


def activation(
    scale: float = 0.25, zero_point: int = 3, *, bits: int = 8, mean: float = 1.0, **options: Any
) -> Start:
    """A start for an activation, asymmetric unless said otherwise."""
    params = per_tensor(scale, zero_point, IntegerType(bits, signed=False))
    return Start(params, options.pop("symmetric", False), torch.tensor(mean), **options)


def behind_a_relu(scale: float = 0.25, *, bits: int = 8, mean: float = 1.0) -> Start:
    """A start for an activation that is never negative."""
    return activation(scale, 0, bits=bits, mean=mean, one_sided=True)


def weight(data: Tensor, *, bits: int = 8, symmetric: bool = True, axis: int | None = 0) -> Start:
    """A start over the extremes of a weight."""
    rows = data.reshape(1 if axis is None else data.shape[0], -1)
    low, high = torch.aminmax(rows, dim=1)
    if axis is None:
        low, high = low[0], high[0]
    params: QParams = grid_over(low, high, IntegerType(bits, signed=True), symmetric, axis)
    magnitude = rows.abs().mean(1).reshape(params.scale.shape)
    return Start(params, symmetric, magnitude, is_weight=True)
