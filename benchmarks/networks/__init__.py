"""The networks that are timed. `build(network)` makes the same one every time.

To add a network: one file here with a function that returns the module, one line in `NETWORKS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.images import images
from benchmarks.networks.batch_norm import settle_batch_norm
from benchmarks.networks.mnist import mnist
from benchmarks.networks.mobilenet_v2 import mobilenet_v2
from benchmarks.networks.resnet import resnet18, resnet50

SETTLING_BATCHES = 4
SETTLING_BATCH_SIZE = 8


@dataclass(frozen=True)
class Network:
    """A name, the shape (C, H, W) of one input image, and what makes the untrained module."""

    name: str
    image: tuple[int, int, int]
    make: Callable[[], nn.Module]


NETWORKS = (
    Network("resnet18", (3, 224, 224), resnet18),
    Network("resnet50", (3, 224, 224), resnet50),
    Network("mobilenet_v2", (3, 224, 224), mobilenet_v2),
    Network("mnist", (1, 28, 28), mnist),
)


def network_named(name: str) -> Network:
    """The network of that name; a `ValueError` that lists the names otherwise."""
    for network in NETWORKS:
        if network.name == name:
            return network
    known = ", ".join(network.name for network in NETWORKS)
    raise ValueError(f"there is no network {name!r}; the networks are {known}")


def build(network: Network, *, seed: int = 0) -> nn.Module:
    """The network in eval mode: seeded weights, batch-norm statistics of seeded images.

    Untrained weights cost the same time as trained ones. The statistics matter all the same:
    with the initial mean 0 and variance 1, activations of a deep network overflow any scale.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network.make()
    batches = [
        images(network.image, SETTLING_BATCH_SIZE, seed=1000 + batch)
        for batch in range(SETTLING_BATCHES)
    ]
    return settle_batch_norm(model, batches)
