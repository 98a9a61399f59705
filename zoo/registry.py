"""Every network of the zoo, by name."""

from zoo.network import Network
from zoo.networks import (
    audio,
    classic,
    dense,
    detection,
    generative,
    mobile,
    modern,
    resnet,
    restoration,
    segmentation,
    volumetric,
)
from zoo.packages import segmentation_models, timm, torchvision, transformers
from zoo.pretrained import craft, crepe, efficientnet_lite0, mtcnn
from zoo.trained import NETWORKS as TRAINED

FILES = (
    classic,
    resnet,
    dense,
    mobile,
    modern,
    detection,
    segmentation,
    restoration,
    audio,
    volumetric,
    generative,
    transformers,
    torchvision,
    timm,
    segmentation_models,
    efficientnet_lite0,
    mtcnn,
    crepe,
    craft,
)

NETWORKS: tuple[Network, ...] = (
    *(network for file in FILES for network in file.NETWORKS),
    *TRAINED,
)


def network_named(name: str) -> Network:
    """The network of that name; a `ValueError` that lists the names otherwise."""
    for network in NETWORKS:
        if network.name == name:
            return network
    known = ", ".join(network.name for network in NETWORKS)
    raise ValueError(f"there is no network {name!r}; the networks are {known}")
