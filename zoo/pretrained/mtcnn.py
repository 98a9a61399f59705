"""The three networks of MTCNN (Zhang et al. 2016), trained to find faces: facenet-pytorch, MIT.

P-Net slides over a picture; R-Net and O-Net judge windows of 24 and 48 pixels. Their own PReLUs,
pools with ceil_mode, softmax and several outputs. Calibrated on half of the faces and non-faces
that scikit-image ships, and judged on the other half: is it a face?
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.network import Metric, Model, Network, Task, Weights
from zoo.packages.installed import module_without_init
from zoo.peers import outputs_of
from zoo.pretrained.photographs import PHOTOGRAPHS, faces, of_several

SIZES = {"PNet": 12, "RNet": 24, "ONet": 48}
BATCH = 20


def make(name: str) -> nn.Module:
    module = module_without_init("facenet_pytorch.models.mtcnn")
    model: nn.Module = getattr(module, name)(pretrained=True)
    return model


def normalized(x: Tensor) -> Tensor:
    """Pixels of 0..1 as the networks were trained with."""
    return (x * 255 - 127.5) / 128


def patches(size: int, split: str) -> tuple[Tensor, Tensor]:
    """Every second patch of `faces`, scaled, and whether it is a face."""
    x, is_face = faces()
    first = 0 if split == "train" else 1
    scaled = functional.interpolate(
        x[first::2], size=(size, size), mode="bilinear", align_corners=False
    )
    return normalized(scaled.expand(-1, 3, -1, -1)).contiguous(), is_face[first::2]


def windows(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    """Faces and others in turns."""
    x, _ = patches(shape[-1], split)
    return torch.stack(x.chunk(2), 1).flatten(0, 1)[:count]


def photographs(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    """Windows of photographs, one of which shows a face."""
    seed = 1 if split == "train" else 2
    return normalized(of_several(PHOTOGRAPHS, (shape[1], shape[2]), count, seed=seed))


def metric(name: str) -> Metric:
    return partial(judged, SIZES[name])


def judged(size: int, model: Model, q: Model) -> dict[str, float]:
    """Right answers of both on 100 patches that neither was calibrated on."""
    x, is_face = patches(size, "test")
    probabilities = [
        torch.cat([outputs_of(run(part))[-1].flatten(1)[:, 1] for part in torch.split(x, BATCH)])
        for run in (model, q)
    ]
    right = [100 * ((p > 0.5) == is_face).float().mean().item() for p in probabilities]
    moved = (probabilities[0] - probabilities[1]).abs()
    return {
        "face or not, float, % right of 100": right[0],
        "face or not, int8, % right of 100": right[1],
        "probability moved by, mean": moved.mean().item(),
        "probability moved by, most": moved.max().item(),
    }


def network(name: str, shape: tuple[int, int, int]) -> Network:
    return Network(
        name=f"mtcnn_{name.lower()}",
        family="MTCNN",
        source="facenet-pytorch",
        task=Task.DETECTION,
        shape=shape,
        make=partial(make, name),
        inputs=photographs if name == "PNet" else windows,
        weights=Weights.PRETRAINED,
        metric=metric(name),
    )


NETWORKS = (
    network("PNet", (3, 120, 160)),
    network("RNet", (3, 24, 24)),
    network("ONet", (3, 48, 48)),
)
