"""Three ways to train through batch norm.

    Folded       into the weights before training; the batch norms are gone
    Live         statistics of each batch, measured on the quantized path, behind one convolution;
                 after `freeze_batch_norm` the running ones, folded into the weights
    Unfolded     weights are quantized before the fold; running statistics are re-estimated at the
                 end (`reestimate_batch_norm`), and the fold multiplies scales only

With a scale for each channel, Q(w f; s f) = f Q(w; s) for any factor f > 0: quantizing before and
after the fold is the same, so Live and Unfolded train alike, and no convolution is computed twice
(Krishnamoorthi 2018, figure 9, needs two). They differ with one scale for the whole weight.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Folded:
    """Fold before training: best for short fine-tuning at 8 bits, and the fastest."""


@dataclass(frozen=True)
class Live:
    """Fold by the running statistics, normalize by those of the batch."""


@dataclass(frozen=True)
class Unfolded:
    """Normalize as the float model does, fold when converting."""


Way = Folded | Live | Unfolded


def factor_and_offset(
    norm: nn.Module, bias: Tensor | None, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """f and b' (C,), so that f (w x) + b' is the batch norm of w x + b by running statistics.

    They are computed in the statistics' own dtype, unless another one is named.
    """
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)  # layers_of() says so
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None  # capture made an island of it otherwise
    assert var is not None
    mean, var = mean.to(dtype or mean.dtype), var.to(dtype or var.dtype)
    factor = 1 / torch.sqrt(var + norm.eps)
    if norm.weight is not None:
        factor = factor * norm.weight
    centre = -mean if bias is None else bias - mean
    offset = centre * factor
    return factor, offset if norm.bias is None else offset + norm.bias
