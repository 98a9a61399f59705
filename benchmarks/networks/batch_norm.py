"""Batch-norm statistics as training would leave them: averages over real inputs."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def settle_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """The same model in eval mode, its running statistics the plain average over the batches.

    `momentum=None` is PyTorch's word for a cumulative average: n batches weigh 1/n each, and
    the initial mean 0 and variance 1 weigh nothing. The weights are not changed. Only the batch
    norms train meanwhile: nothing is dropped, and no head that is meant for training runs.
    """
    norms = [module for module in model.modules() if isinstance(module, NORMS)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()

    with torch.no_grad():
        for batch in batches:
            model(batch)

    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()
