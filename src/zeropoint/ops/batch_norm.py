"""Batch normalization with running statistics.

    y = gamma (x - mean) / sqrt(var + eps) + beta

It has no integer form: passes fold it into the layer before it, or turn it into a depthwise
convolution.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape, Value


@dataclass(frozen=True)
class BatchNorm(Op):
    """x (N, C, ...), gamma, beta, mean and var (C,)."""

    name: ClassVar[str] = "batch_norm"

    eps: float = 1e-5

    def run(self, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """The float form."""
        return F.batch_norm(x, mean, var, gamma, beta, training=False, eps=self.eps)

    def affine(
        self, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The factor and the offset, y = factor x + offset, in float64."""
        factor = gamma.to(torch.float64) / torch.sqrt(var.to(torch.float64) + self.eps)
        return factor, beta.to(torch.float64) - mean.to(torch.float64) * factor


def batch_norm_inference(
    to: Builder,
    shape: Shape,
    x: Value,
    gamma: Value | None,
    beta: Value | None,
    mean: Value | None,
    var: Value | None,
    momentum: float,
    eps: float,
) -> Value | str:
    """Capture of batch norm as torch.export decomposes it in eval mode."""
    if mean is None or var is None:
        return "it normalizes by the statistics of the batch (track_running_stats=False)"
    channels = int(mean.shape[0])
    gamma = gamma or to.constant(f"{mean.name}.ones", torch.ones(channels))
    beta = beta or to.constant(f"{mean.name}.zeros", torch.zeros(channels))
    if any(to.tensor(statistic) is None for statistic in (gamma, beta, mean, var)):
        return "its parameters are computed at run time"
    return to.emit(BatchNorm(eps), x, gamma, beta, mean, var, shape=shape)


def batch_norm(
    to: Builder,
    shape: Shape,
    x: Value,
    gamma: Value | None,
    beta: Value | None,
    mean: Value | None,
    var: Value | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = False,
) -> Value | str:
    """Capture of aten.batch_norm."""
    if training:
        return "it normalizes by the statistics of the batch"
    return batch_norm_inference(to, shape, x, gamma, beta, mean, var, momentum, eps)


OPS = (BatchNorm,)
CAPTURES = {
    "aten.batch_norm.default": batch_norm,
    "aten._native_batch_norm_legit_no_training.default": batch_norm_inference,
}
