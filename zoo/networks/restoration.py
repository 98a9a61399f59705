"""Pixels in, pixels out: super-resolution and denoising."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.inputs import Inputs, images
from zoo.network import Network, Task
from zoo.networks.attention import squeeze_excite

SCALE = 2


def espcn() -> nn.Module:
    """Shi et al. 2016: tanh, then one pixel shuffle."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 5, padding=2), nn.Tanh(), nn.Conv2d(64, 32, 3, padding=1), nn.Tanh(),
        nn.Conv2d(32, 9, 3, padding=1), nn.PixelShuffle(3), nn.Sigmoid(),
    )  # fmt: skip


def srcnn() -> nn.Module:
    """Dong et al. 2014."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 9, padding=4), nn.ReLU(), nn.Conv2d(64, 32, 5, padding=2), nn.ReLU(),
        nn.Conv2d(32, 1, 5, padding=2),
    )  # fmt: skip


def fsrcnn() -> nn.Module:
    """Dong et al. 2016: narrow, map four times, wide, one transposed 9x9 convolution."""
    layers: list[nn.Module] = [nn.Conv2d(1, 56, 5, padding=2), nn.PReLU(56)]
    layers += [nn.Conv2d(56, 12, 1), nn.PReLU(12)]
    for _ in range(4):
        layers += [nn.Conv2d(12, 12, 3, padding=1), nn.PReLU(12)]
    layers += [nn.Conv2d(12, 56, 1), nn.PReLU(56)]
    layers.append(nn.ConvTranspose2d(56, 1, 9, SCALE, 4, SCALE - 1))
    return nn.Sequential(*layers)


class EDSRBlock(nn.Module):
    """Two convolutions without norms, scaled by 0.1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(True),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x).mul(0.1)
        y += x
        return y


class RCABlock(nn.Module):
    """Zhang et al. 2018: the same with a gate by channel in place of the factor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(True),
            nn.Conv2d(width, width, 3, padding=1), squeeze_excite(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class DenseBlock(nn.Module):
    """RDN and ESRGAN: each convolution sees all before it; leaky ReLU; 0.2 of it is added."""

    def __init__(self, width: int, growth: int = 16) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(width + number * growth, growth if number < 4 else width, 3, padding=1)
            for number in range(5)
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for conv in self.convs[:-1]:
            maps.append(functional.leaky_relu(conv(torch.cat(maps, 1)), 0.2, inplace=True))
        y: Tensor = self.convs[-1](torch.cat(maps, 1)) * 0.2 + x
        return y


class Enlarging(nn.Module):
    """The mean colour off, blocks between two convolutions with a sum around, shuffle, mean on."""

    def __init__(self, block: Callable[[int], nn.Module], depth: int = 6, width: int = 48) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.1, 0.05, -0.05]).view(1, 3, 1, 1))
        self.mean: Tensor
        self.first = nn.Conv2d(3, width, 3, padding=1)
        last = nn.Conv2d(width, width, 3, padding=1)
        self.body = nn.Sequential(*(block(width) for _ in range(depth)), last)
        self.up = nn.Sequential(
            nn.Conv2d(width, width * SCALE**2, 3, padding=1), nn.PixelShuffle(SCALE),
            nn.Conv2d(width, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x - self.mean)
        y: Tensor = self.up(x + self.body(x)) + self.mean
        return y


class SRBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class SRResNet(nn.Module):
    """Ledig et al. 2017: one PReLU for all channels, two pixel shuffles, 9x9 at both ends."""

    def __init__(self, width: int = 48, depth: int = 5) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(SRBlock(width) for _ in range(depth)),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width),
        )  # fmt: skip
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
        self.up = nn.Sequential(*layers, nn.Conv2d(width, 3, 9, padding=4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y: Tensor = self.up(x + self.body(x))
        return y


class DnCNN(nn.Module):
    """Zhang et al. 2017: the noise is what the layers find, and it is taken off."""

    def __init__(self, depth: int = 10, width: int = 48) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
            layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x - self.layers(x)
        return y


def autoencoder() -> nn.Module:
    """Convolutions down to 16 numbers a place, transposed convolutions back."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(64, 16, 3, 2, 1),
        nn.ConvTranspose2d(16, 64, 3, 2, 1, 1), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 3, 2, 1, 1), nn.Tanh(),
    )  # fmt: skip


def restorer(
    name: str,
    family: str,
    make: Callable[[], nn.Module],
    shape: tuple[int, int, int],
    inputs: Inputs = images,
) -> Network:
    return Network(name, family, "zoo", Task.RESTORATION, shape, make, inputs)


NETWORKS = (
    restorer("espcn", "ESPCN", espcn, (1, 64, 64)),
    restorer("srcnn", "SRCNN", srcnn, (1, 64, 64)),
    restorer("fsrcnn", "FSRCNN", fsrcnn, (1, 64, 64)),
    restorer("edsr", "EDSR", partial(Enlarging, EDSRBlock), (3, 48, 48)),
    restorer("rcan", "RCAN", partial(Enlarging, RCABlock), (3, 48, 48)),
    restorer("rrdbnet", "ESRGAN", partial(Enlarging, DenseBlock, 4), (3, 48, 48)),
    restorer("srresnet", "SRResNet", SRResNet, (3, 48, 48)),
    restorer("dncnn", "DnCNN", DnCNN, (1, 64, 64)),
    restorer("autoencoder", "autoencoder", autoencoder, (3, 64, 64)),
)
