"""CIFAR-10 in memory: bytes, their normalization, crops and flips, and right answers.

Found as `$ZEROPOINT_DATA`, as `../shared/data`, or else on the hub; decoded once into `.cache/`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from zeropoint.data import Preparation, open_data

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "cifar10"
HUB_NAME = "uoft-cs/cifar10"

MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
MARGIN = 4
"""Pixels by which a training image may be shifted, in each direction."""


@dataclass(frozen=True)
class Images:
    """Pixels (N, 3, 32, 32) uint8 in channels_last, and labels (N,) int64."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int = 500, limit: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalized images and labels in their order, the first `limit` of them."""
        chosen = slice(0, limit)
        pixels = torch.split(self.pixels[chosen], size)
        labels = torch.split(self.labels[chosen], size)
        for x, y in zip(pixels, labels, strict=True):
            yield normalized(x), y

    def first(self, count: int) -> "Images":
        return Images(self.pixels[:count], self.labels[:count])


@cache
def images(split: str) -> Images:
    """All of `train` or `test`."""
    file = CACHE / f"{split}.safetensors"
    if not file.exists():
        as_pixels = Preparation(mean=(0.0,) * 3, std=(1.0,) * 3)
        x, y = zip(*open_data(dataset(split), preparation=as_pixels, batch_size=1000), strict=True)
        pixels = (torch.cat(x) * 255).round().to(torch.uint8)
        CACHE.mkdir(parents=True, exist_ok=True)
        save_file({"pixels": pixels.contiguous(), "labels": torch.cat(y)}, file)
    loaded = load_file(file)
    pixels = loaded["pixels"].to(memory_format=torch.channels_last)
    return Images(pixels, loaded["labels"])


def dataset(split: str) -> str:
    """Where the split is."""
    for folder in (os.environ.get("ZEROPOINT_DATA"), ROOT.parent / "shared" / "data"):
        if folder and (file := Path(folder) / "cifar10" / f"{split}.parquet").exists():
            return str(file)
    return f"{HUB_NAME}:{split}"


def normalized(pixels: Tensor) -> Tensor:
    """Float32 images of mean 0 and variance 1, in channels_last."""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD).view(1, 3, 1, 1) * 255
    return ((pixels.to(torch.float32) - mean) / std).to(memory_format=torch.channels_last)


class Augmented:
    """Epochs of training batches: shuffled, mirrored, and cropped after padding with zeros.

    `size` is the crop's side, 32 but for the cheap first epochs of a long training. A crop smaller
    than the image needs no padding. All randomness comes from torch's global generator.
    """

    def __init__(self, source: Images, batch_size: int, *, size: int = 32) -> None:
        margin = MARGIN if size == source.pixels.shape[-1] else 0
        padded = nn.functional.pad(source.pixels, (margin,) * 4)
        padded = padded.to(memory_format=torch.channels_last)
        self._windows = padded.unfold(2, size, 1).unfold(3, size, 1)  # (N, 3, P, P, size, size)
        self._labels = source.labels
        self._batch_size = batch_size

    def __len__(self) -> int:
        return len(self._labels) // self._batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.split(torch.randperm(len(self._labels)), self._batch_size)
        for chosen in order[: len(self)]:
            yield self._cropped(chosen), self._labels[chosen]

    def _cropped(self, chosen: Tensor) -> Tensor:
        places = self._windows.shape[2]
        top, left = torch.randint(places, (2, len(chosen)))
        x = normalized(self._windows[chosen, :, top, left])
        mirrored = torch.rand(len(chosen), 1, 1, 1) < 0.5
        return torch.where(mirrored, x.flip(3), x)


def right(model: nn.Module, source: Images) -> Tensor:
    """For each image whether the model in eval mode is right, (N,) bool."""
    training = model.training
    model.eval()
    with torch.inference_mode():
        answers = [model(x).argmax(1) == y for x, y in source.batches()]
    model.train(training)
    return torch.cat(answers)
