"""Float networks to quantize, from three trainings and three seeds each.

    plain    no bias             6 epochs of Adam, 1e-3 down to 0, batches of 64, flips
    biased   a bias in fc3       the same
    short    a bias in fc3       2 epochs of SGD, 1e-3, momentum 0.9, batches of 4

The bias is there from the first step on.

`short` is the training of PyTorch's CIFAR-10 tutorial, which ends near the report's 60.88 %.
One thread, so that a seed fixes the order of every sum and the result repeats on one machine.
Seed 0 of the first two is committed in `weights/`; the rest is kept in `.cache/`, ignored by git.

    python -m studies.lenet_cifar10.training        trains whatever is missing
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from studies.lenet_cifar10.network import LeNet
from zeropoint.data import ImageBatches, Preparation, open_data

SEEDS = (0, 1, 2)

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "lenet_cifar10"
HUB_NAME = "uoft-cs/cifar10"
TO_ONE = Preparation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""Pixels from -1 to 1, the report's range of the input."""


@dataclass(frozen=True)
class Training:
    """How a network is trained; `decays` lets the learning rate fall to 0 in a straight line."""

    name: str
    bias: bool
    epochs: int
    batch_size: int
    flips: bool
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    decays: bool

    def file(self, seed: int) -> Path:
        """Where the weights of this seed are, or will be."""
        committed = HERE / "weights" / f"{self.name}-{seed}.safetensors"
        return committed if committed.exists() else CACHE / committed.name


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)


PLAIN = Training("plain", False, epochs=6, batch_size=64, flips=True, optimizer=adam, decays=True)
BIASED = Training("biased", True, epochs=6, batch_size=64, flips=True, optimizer=adam, decays=True)
SHORT = Training("short", True, epochs=2, batch_size=4, flips=False, optimizer=sgd, decays=False)
TRAININGS = (PLAIN, BIASED, SHORT)


def images_of(
    split: str,
    *,
    batch_size: int = 100,
    samples: int | None = None,
    shuffle_seed: int | None = None,
) -> ImageBatches:
    """CIFAR-10's `train` or `test` in [-1, 1], found as `dataset` says."""
    return open_data(
        dataset(split),
        preparation=TO_ONE,
        batch_size=batch_size,
        samples=samples,
        shuffle_seed=shuffle_seed,
    )


def dataset(split: str) -> str:
    """Where the split is: `$ZEROPOINT_DATA`, `../shared/data`, or else the hub."""
    for folder in (os.environ.get("ZEROPOINT_DATA"), ROOT.parent / "shared" / "data"):
        if folder and (file := Path(folder) / "cifar10" / f"{split}.parquet").exists():
            return str(file)
    return f"{HUB_NAME}:{split}"


def trained(training: Training, seed: int) -> LeNet:
    """The network of this training and seed in eval mode: from its file, or trained now."""
    model = LeNet(bias=training.bias)
    if not training.file(seed).exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        save_file(train(training, seed).state_dict(), training.file(seed))
    model.load_state_dict(load_file(training.file(seed)))
    return model.eval()


def train(training: Training, seed: int) -> nn.Module:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = LeNet(bias=training.bias)
    images, labels = everything("train")
    optimizer = training.optimizer(model)
    steps = training.epochs * -(-len(images) // training.batch_size)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1 - step / steps if training.decays else 1.0
    )
    for epoch in range(training.epochs):
        total = 0.0
        for batch in torch.split(torch.randperm(len(images)), training.batch_size):
            optimizer.zero_grad()
            x = flipped(images[batch]) if training.flips else images[batch]
            loss = nn.functional.cross_entropy(model(x), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimizer.step()
            rate.step()
            total += loss.item() * len(batch)
        done = f"{training.name} {seed}: epoch {epoch + 1} of {training.epochs}"
        print(f"{done}, loss {total / len(images):.4f}", flush=True)
    torch.set_num_threads(threads)
    return model


def flipped(images: Tensor) -> Tensor:
    """The images (N, C, H, W), about half of them mirrored left to right."""
    mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(mirrored, images.flip(3), images)


@cache
def everything(split: str) -> tuple[Tensor, Tensor]:
    """All images (N, 3, 32, 32) and labels (N,) of a split, decoded once for all trainings."""
    images, labels = zip(*images_of(split, batch_size=1000), strict=True)
    return torch.cat(images), torch.cat(labels)


if __name__ == "__main__":
    for training, seed in product(TRAININGS, SEEDS):
        trained(training, seed)
