"""The networks that the studies have trained, as far as their weights are here."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import studies.lenet_cifar10.training as lenet
from studies.low_bits import floats as low_bits
from studies.qat_cifar10 import floats as qat
from zoo.inputs import Inputs, images
from zoo.network import Metric, Model, Network, Task, Weights

TESTED, BATCH = 2000, 100


def lenet_inputs(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    assert shape == (3, 32, 32)
    batches = lenet.images_of(split, batch_size=count, samples=count, shuffle_seed=0)
    return torch.cat([x for x, _ in batches])


def accuracy(batches: Callable[[], list[tuple[Tensor, Tensor]]]) -> Metric:
    """Right answers of float and int8 on the first images of CIFAR-10's test set."""

    def metric(model: Model, q: Model) -> dict[str, float]:
        right = [0, 0]
        for x, y in batches():
            for place, run in enumerate((model, q)):
                right[place] += int((run(x.contiguous()).argmax(1) == y).sum())
        return {
            f"CIFAR-10, {name}, % of {TESTED}": 100 * count / TESTED
            for name, count in zip(("float", "int8"), right, strict=True)
        }

    return metric


def lenet_batches() -> list[tuple[Tensor, Tensor]]:
    return list(lenet.images_of("test", batch_size=BATCH, samples=TESTED))


def cifar_batches() -> list[tuple[Tensor, Tensor]]:
    from studies.cifar10 import images as all_images

    return list(all_images("test").batches(BATCH, TESTED))


def network(
    name: str,
    family: str,
    make: Callable[[], nn.Module],
    inputs: Inputs,
    batches: Callable[[], list[tuple[Tensor, Tensor]]],
) -> Network:
    return Network(
        name=name,
        family=family,
        source="studies",
        task=Task.CLASSIFICATION,
        shape=(3, 32, 32),
        make=make,
        inputs=inputs,
        weights=Weights.TRAINED,
        metric=accuracy(batches),
    )


CANDIDATES: tuple[tuple[Path, Network], ...] = (
    (
        lenet.PLAIN.file(0),
        network("lenet_cifar10", "LeNet", lambda: lenet.trained(lenet.PLAIN, 0),
                lenet_inputs, lenet_batches),
    ),
    (
        low_bits.FILE,
        network("resnet20_cifar10", "ResNet", low_bits.float_network, images, cifar_batches),
    ),
    (
        qat.FILE,
        network("nin_cifar10", "NIN", qat.float_network, images, cifar_batches),
    ),
)  # fmt: skip

NETWORKS = tuple(network for file, network in CANDIDATES if file.exists())
