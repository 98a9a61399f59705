"""Data like those of activations, and what is observed of them."""

import torch
from torch import Tensor

from zeropoint.observe.observation import Observation


def observed(*batches: Tensor) -> Observation:
    observation = Observation()
    for batch in batches:
        observation.add(batch)
    return observation


def normal(count: int = 20_000, *, seed: int = 0) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


def exponential(count: int = 20_000) -> Tensor:
    return -torch.rand(count, generator=torch.Generator().manual_seed(1)).clamp(min=1e-9).log()


REALISTIC = {
    "normal": normal(),
    "relu": normal().relu(),
    "relu6": (4 * normal()).clamp(0, 6),
    "silu": torch.nn.functional.silu(4 * normal()),
    "sparse": exponential() * (normal(seed=2) > 1.6),
    "uniform": torch.linspace(-1, 3, 20_000),
    "outlier": torch.cat([normal(), torch.tensor([20.0])]),
    "negative": -exponential() - 3,
    "image": (255 * torch.sigmoid(normal())).round() / 255,
}

ODD = {
    "zeros": torch.zeros(10),
    "one zero": torch.zeros(1),
    "a constant": torch.full((10,), 3.0),
    "a negative constant": torch.full((10,), -3.0),
    "one element": torch.tensor([0.1]),
    "far from zero": torch.tensor([1000.0, 1000.001]),
    "huge": torch.tensor([-3e38, 3e38, 1.0]),
    "huge and one-sided": torch.tensor([0.0, 3e38, 1.0]),
    "tiny": torch.tensor([1e-40, -1e-42]),
    "of all sizes": torch.tensor([1e-38, 1e-20, 1.0, 1e20, 3e38]),
    "nothing": torch.empty(0),
}
