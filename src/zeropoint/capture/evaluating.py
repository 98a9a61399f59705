"""Looking at a model without changing it."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model with every training flag off; each flag is put back as it was, whatever happens.

    The flags are set directly, since a model's own `train()` may do more than set them.
    """
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield model
    finally:
        for module, training in flags:
            module.training = training
