"""The first decade: LeNet-5, AlexNet, Network in Network, VGG, SqueezeNet."""

import torch
from torch import Tensor, nn

from zoo.network import Network, Task
from zoo.networks.blocks import Pooled

CLASSES = 100


def lenet5() -> nn.Module:
    """LeCun et al. 1998: tanh and average pools."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(),
        nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def alexnet() -> nn.Module:
    """Krizhevsky et al. 2012, with its local response normalization and overlapping pools."""
    features = nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4, padding=2), nn.ReLU(inplace=True),
        nn.LocalResponseNorm(5, k=2.0), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True),
        nn.LocalResponseNorm(5, k=2.0), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Dropout(), nn.Linear(256 * 4 * 4, 1024), nn.ReLU(inplace=True),
        nn.Dropout(), nn.Linear(1024, 1024), nn.ReLU(inplace=True), nn.Linear(1024, CLASSES),
    )  # fmt: skip
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(4), nn.Flatten(), classifier)


def nin() -> nn.Module:
    """Network in Network (Lin et al. 2014) for 32x32 images: the classes are averaged maps."""

    def mlpconv(entering: int, widths: tuple[int, int, int], kernel: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Conv2d(entering, width, kernel, padding=kernel // 2), nn.ReLU()]
            entering, kernel = width, 1
        return layers

    return nn.Sequential(
        *mlpconv(3, (192, 160, 96), 5), nn.MaxPool2d(3, 2, padding=1), nn.Dropout(0.5),
        *mlpconv(96, (192, 192, 192), 5), nn.AvgPool2d(3, 2, padding=1), nn.Dropout(0.5),
        *mlpconv(192, (192, 192, CLASSES), 3), nn.AvgPool2d(8), nn.Flatten(),
    )  # fmt: skip


VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
VGG11 = (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)


def vgg(plan: tuple[int, ...], *, norm: bool, width: float = 1.0) -> nn.Module:
    """Simonyan & Zisserman 2015: 3x3 convolutions of these widths; 0 is a pool."""
    layers: list[nn.Module] = []
    entering = 3
    for full in plan:
        if full == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        leaving = int(full * width)
        layers.append(nn.Conv2d(entering, leaving, 3, padding=1))
        layers += [nn.BatchNorm2d(leaving)] if norm else []
        layers.append(nn.ReLU(inplace=True))
        entering = leaving
    hidden = int(1024 * width)
    classifier = nn.Sequential(
        nn.Linear(entering * 4 * 4, hidden), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(hidden, CLASSES),
    )  # fmt: skip
    return nn.Sequential(*layers, nn.Flatten(), classifier)


def vgg16() -> nn.Module:
    return vgg(VGG16, norm=False, width=0.5)


def vgg11_bn() -> nn.Module:
    return vgg(VGG11, norm=True)


class Fire(nn.Module):
    """1x1 convolutions beside 3x3 ones, after a narrow 1x1 (Iandola et al. 2016)."""

    def __init__(self, entering: int, narrow: int, leaving: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(entering, narrow, 1)
        self.expand1x1 = nn.Conv2d(narrow, leaving // 2, 1)
        self.expand3x3 = nn.Conv2d(narrow, leaving // 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))], 1)


def squeezenet() -> nn.Module:
    """SqueezeNet 1.1."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, ceil_mode=True), Fire(64, 16, 128), Fire(128, 16, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True), Fire(128, 32, 256), Fire(256, 32, 256),
        nn.MaxPool2d(3, 2, ceil_mode=True), Fire(256, 48, 384), Fire(384, 48, 384),
        Fire(384, 64, 512), Fire(512, 64, 512),
        nn.Dropout(), nn.Conv2d(512, CLASSES, 1), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def all_convolutional() -> nn.Module:
    """Springenberg et al. 2015: strides in place of pools."""
    plan = ((96, 1), (96, 1), (96, 2), (192, 1), (192, 1), (192, 2), (192, 1))
    layers: list[nn.Module] = []
    entering = 3
    for leaving, stride in plan:
        layers += [nn.Conv2d(entering, leaving, 3, stride, padding=1), nn.ReLU()]
        entering = leaving
    return Pooled(nn.Sequential(*layers), entering)


NETWORKS = (
    Network("lenet5", "LeNet", "zoo", Task.CLASSIFICATION, (1, 28, 28), lenet5),
    Network("alexnet", "AlexNet", "zoo", Task.CLASSIFICATION, (3, 160, 160), alexnet),
    Network("nin", "NIN", "zoo", Task.CLASSIFICATION, (3, 32, 32), nin),
    Network(
        "all_convolutional", "All-CNN", "zoo", Task.CLASSIFICATION, (3, 32, 32), all_convolutional
    ),
    Network("vgg11_bn", "VGG", "zoo", Task.CLASSIFICATION, (3, 128, 128), vgg11_bn),
    Network("vgg16", "VGG", "zoo", Task.CLASSIFICATION, (3, 128, 128), vgg16),
    Network("squeezenet", "SqueezeNet", "zoo", Task.CLASSIFICATION, (3, 128, 128), squeezenet),
)
