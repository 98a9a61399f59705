"""Seeded weights made sane: what a network that was never trained needs to be worth measuring.

    liven        batch norms with factors and shifts of their own; layer scales that do something
    unit_variance   every layer's output has deviation 1 (Mishkin & Matas 2016, "LSUV"), in one pass
    settle       batch-norm statistics averaged over real inputs

As constructed, many networks would be too easy: residual branches that begin with a factor of zero,
layer scales of 1e-6. Others would overflow: those without norms.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.networks.batch_norm import NORMS, settle_batch_norm

LAYERS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.Linear,
)  # fmt: skip
AFFINE = (*NORMS, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm1d, nn.InstanceNorm2d)
LEAST_FACTOR, SPREAD, SHIFT = 0.75, 0.5, 0.1
SMALL, LAYER_SCALE = 1e-2, 0.2
LEAST_VARIANCE = 1e-3


def sane(model: nn.Module, batches: Iterable[Tensor], *, seed: int = 0) -> nn.Module:
    """The model in eval mode, changed in place: it passes signals on, and every channel differs."""
    kept = list(batches)
    liven(model.eval(), seed=seed)
    unit_variance(model, kept[0])
    settle_batch_norm(model, kept)
    for norm in model.modules():
        if isinstance(norm, NORMS) and norm.running_var is not None:
            # A channel that never varied would multiply its first deviation by 1 / sqrt(eps).
            norm.running_var.clamp_(min=LEAST_VARIANCE * norm.running_var.mean().item())
    return model


def liven(model: nn.Module, *, seed: int = 0) -> None:
    """Norms get factors in [0.75, 1.25) and shifts of deviation 0.1; idle layer scales become 0.2.

    A layer scale is taken for idle if all of its entries are the same and hardly more than zero.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = [module for module in model.modules() if isinstance(module, AFFINE)]
    of_norms = {id(parameter) for norm in norms for parameter in norm.parameters()}
    with torch.no_grad():
        for norm in norms:
            if norm.weight is not None:
                random = torch.rand(norm.weight.shape, generator=generator)
                norm.weight.copy_(LEAST_FACTOR + SPREAD * random)
            if norm.bias is not None:
                norm.bias.copy_(SHIFT * torch.randn(norm.bias.shape, generator=generator))
        for name, parameter in model.named_parameters():
            if id(parameter) in of_norms or "bias" in name.rpartition(".")[2]:
                continue
            first = parameter.flatten()[0]
            if abs(first) < SMALL and bool((parameter == first).all()):
                parameter.fill_(LAYER_SCALE)


def unit_variance(model: nn.Module, batch: Tensor) -> None:
    """Scales the weights and biases of every layer so that its output on the batch deviates by 1.

    One pass: each layer is scaled when it is first called, and hands on what it gives then.
    """
    done: set[int] = set()

    def scale(layer: nn.Module, _: Any, y: Tensor) -> Tensor:  # whatever the layer is called with
        deviation = y.std().item()
        if id(layer) in done or not deviation > 0:
            return y
        done.add(id(layer))
        for parameter in layer.parameters(recurse=False):
            parameter.div_(deviation)
        return y / deviation

    plain = [
        layer
        for layer in model.modules()
        if isinstance(layer, LAYERS) and "weight" in layer._parameters
    ]
    hooks = [layer.register_forward_hook(scale) for layer in plain]
    try:
        with torch.no_grad():
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
