"""How many scales a tensor has: one, or one for each channel."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PerTensor:
    """One scale and zero point for the whole tensor: shape ()."""


@dataclass(frozen=True)
class PerChannel:
    """One scale and zero point for each index of `axis`: shape (C,).

    For weights of a convolution (O, I, kH, kW) or of a linear layer (O, I), axis 0 is the output
    channel.
    """

    axis: int = 0


Granularity = PerTensor | PerChannel
