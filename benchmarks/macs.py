"""How much arithmetic a network is."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def multiply_accumulates(model: nn.Module, x: Tensor) -> int:
    """Multiply-accumulates of all convolutions and matrix products in one forward pass of x."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return int(counter.get_total_flops()) // 2  # torch counts the multiplication and the addition
