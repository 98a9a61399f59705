"""What a network is to the zoo: how to build it, what it is fed, and what is known about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from torch import Tensor, nn

from zoo.inputs import Inputs, images

Model = Callable[[Tensor], Any]  # Any: outputs nest as each network nests them
Metric = Callable[[Model, Model], Mapping[str, float]]
"""(float model, int8 model) -> numbers, by what they say. For networks with trained weights."""


class Task(Enum):
    CLASSIFICATION = "classification"
    SEGMENTATION = "segmentation"
    DETECTION = "detection"
    RESTORATION = "restoration"
    AUDIO = "audio"
    VIDEO = "video"
    GENERATION = "generation"
    FEATURES = "features"


class Weights(Enum):
    """Where the weights come from; seeded ones are made sane by `zoo.weights`."""

    SEEDED = "seeded"
    TRAINED = "trained here"
    PRETRAINED = "pretrained"


@dataclass(frozen=True)
class Network:
    """One architecture. `source`: whose definition it is; `shape`: of one input, without the batch.

    `convolutional`: nearly all of its arithmetic is convolutions and linear layers, so that at
    least 95 % of it has to run in integers. Networks of attention are in the zoo without that.
    """

    name: str
    family: str
    source: str
    task: Task
    shape: tuple[int, ...]
    make: Callable[[], nn.Module]
    inputs: Inputs = images
    weights: Weights = Weights.SEEDED
    convolutional: bool = True
    metric: Metric | None = None
