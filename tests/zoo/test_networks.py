"""Twelve small networks of the zoo through the whole path; the rest is run by `make zoo`."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

import zeropoint as zp
from zoo import inputs
from zoo.network import Network, Weights
from zoo.peers import outputs_of, sqnr
from zoo.registry import NETWORKS, network_named
from zoo.weights import sane

CALIBRATION_IMAGES, TEST_IMAGES = 32, 8


@dataclass(frozen=True)
class Expected:
    """What is asked of a network, and its inputs where they may be smaller than the zoo's."""

    name: str
    least_decibel: float
    least_share: float = 0.995
    shape: tuple[int, ...] | None = None


TWELVE = (
    Expected("lenet5", 35),
    Expected("squeezenet", 26, shape=(3, 48, 48)),
    Expected("rcan", 25, shape=(3, 16, 16)),
    Expected("yolov3_tiny", 19, shape=(3, 64, 64)),
    Expected("centernet_resnet18", 18, shape=(3, 64, 64)),
    Expected("unet_bilinear", 16, shape=(3, 32, 32)),
    Expected("espcn", 39, shape=(1, 24, 24)),
    Expected("srresnet", 24, shape=(3, 16, 16)),
    Expected("dcgan_generator", 30),
    Expected("tc_resnet8", 27),
    Expected("wavenet", 10, shape=(1, 512)),
    Expected("unet3d", 15, shape=(1, 8, 16, 16)),
)


@pytest.fixture(autouse=True)
def seeded_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same images whether CIFAR-10 is here or not."""
    monkeypatch.setattr(inputs, "stored", lambda split: None)


def built(network: Network) -> nn.Module:
    """The network with sane weights, small as its inputs are."""
    torch.manual_seed(0)
    batch = network.inputs(network.shape, CALIBRATION_IMAGES, "train")
    return sane(network.make(), [batch])


@pytest.mark.parametrize("expected", TWELVE, ids=lambda expected: expected.name)
def test_it_runs_in_integers_as_it_is_and_on_the_engine_as_on_the_reference(
    expected: Expected,
) -> None:
    network = network_named(expected.name)
    network = replace(network, shape=expected.shape or network.shape)
    model = built(network)
    calibration = [network.inputs(network.shape, CALIBRATION_IMAGES, "train")]
    x = network.inputs(network.shape, TEST_IMAGES, "test")
    with torch.no_grad():
        truth = outputs_of(model(x))

    q = zp.quantize(model, calibration, engine="onednn")

    assert q.coverage().share_of_macs >= expected.least_share
    decibel = sqnr(truth, outputs_of(q(x)))
    assert decibel >= expected.least_decibel
    (check,) = zp.verify(q, [x[:1]], ["onednn"], samples=1).checks
    assert check.passes, f"{check.failure} {check.worst}"


def test_there_are_sixty_networks_and_no_name_twice() -> None:
    names = [network.name for network in NETWORKS]
    assert len(names) == len(set(names))
    assert len(names) >= 60


def test_several_hands_have_written_them() -> None:
    sources = {network.source for network in NETWORKS}
    assert {"zoo", "transformers", "torchvision", "timm"} <= sources


def test_trained_weights_come_with_a_metric() -> None:
    trained = [network for network in NETWORKS if network.weights is not Weights.SEEDED]
    assert all(network.metric is not None for network in trained)
    assert len({n.source for n in trained if n.weights is Weights.PRETRAINED}) >= 3


def test_a_name_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="no network 'resnet'; the networks are lenet5, alexnet"):
        network_named("resnet")
