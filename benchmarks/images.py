"""Seeded inputs that look like images to an observer: smooth, with a little fine grain.

White noise would not do. Its pixels average out in the first layers, activations come out far
narrower and more Gaussian than those of a photograph, and calibration has nothing to decide.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

# (cells along one side, amplitude): halving the amplitude as the detail doubles twice comes
# near the 1/f spectrum of photographs.
OCTAVES = ((4, 1.0), (16, 0.5), (64, 0.25))
GRAIN = 0.1


def images(shape: tuple[int, int, int], count: int, *, seed: int) -> Tensor:
    """`count` images of the shape (C, H, W), mean 0 and deviation 1 over all: (N, C, H, W)."""
    channels, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    total = GRAIN * torch.randn(count, channels, height, width, generator=generator)
    for side, amplitude in OCTAVES:
        rows, columns = min(side, height), min(side, width)
        coarse = torch.randn(count, channels, rows, columns, generator=generator)
        total += amplitude * functional.interpolate(
            coarse, size=(height, width), mode="bicubic", align_corners=False
        )
    return (total - total.mean()) / total.std()


def in_batches(batches: list[Tensor], size: int) -> Iterator[Tensor]:
    """The same images in batches of exactly `size`; those that fill no batch are left out.

    For engines whose graph has one fixed batch size. Images are repeated where there are fewer
    than `size`.
    """
    every = torch.cat(batches)
    while len(every) < size:
        every = torch.cat([every, every])
    for start in range(0, len(every) - size + 1, size):
        yield every[start : start + size].contiguous()
