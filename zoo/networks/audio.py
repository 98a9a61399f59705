"""Sounds: waveforms through 1d convolutions, spectrograms through 2d ones."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.inputs import Inputs, bands, sounds, spectrograms
from zoo.network import Network, Task

CLASSES = 35


def conv1d_bn(
    entering: int,
    leaving: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    groups: int = 1,
    dilation: int = 1,
    rectified: bool = True,
) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    conv = nn.Conv1d(
        entering, leaving, kernel, stride, padding, dilation=dilation, groups=groups, bias=False
    )
    layers = [conv, nn.BatchNorm1d(leaving)]
    return nn.Sequential(*layers, nn.ReLU()) if rectified else nn.Sequential(*layers)


def m5() -> nn.Module:
    """Dai et al. 2017: waveforms, a first kernel of 80."""
    return nn.Sequential(
        nn.Conv1d(1, 64, 80, 4), nn.BatchNorm1d(64), nn.ReLU(), nn.MaxPool1d(4),
        nn.Conv1d(64, 64, 3), nn.BatchNorm1d(64), nn.ReLU(), nn.MaxPool1d(4),
        nn.Conv1d(64, 128, 3), nn.BatchNorm1d(128), nn.ReLU(), nn.MaxPool1d(4),
        nn.Conv1d(128, 256, 3), nn.BatchNorm1d(256), nn.ReLU(), nn.MaxPool1d(4),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(256, CLASSES), nn.LogSoftmax(1),
    )  # fmt: skip


class SEBlock1d(nn.Module):
    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv1d_bn(entering, leaving, 7, stride), conv1d_bn(leaving, leaving, 7, rectified=False)
        )
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(leaving, leaving // 8), nn.ReLU(),
            nn.Linear(leaving // 8, leaving), nn.Sigmoid(),
        )  # fmt: skip
        self.shortcut = conv1d_bn(entering, leaving, 1, stride, rectified=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return torch.relu(y * self.gate(y).unsqueeze(-1) + self.shortcut(x))


def se_resnet1d() -> nn.Module:
    """A residual network for waveforms or electrocardiograms."""
    layers: list[nn.Module] = [conv1d_bn(1, 32, 15, 4), nn.MaxPool1d(3, 2, 1)]
    entering = 32
    for leaving in (32, 64, 128, 256):
        layers += [SEBlock1d(entering, leaving, 2), SEBlock1d(leaving, leaving, 1)]
        entering = leaving
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(entering, CLASSES)
    )


class WaveNetLayer(nn.Module):
    """tanh(a) sigmoid(b) of a dilated causal convolution; a residual and a skip."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = nn.Conv1d(width, 2 * width, 2, dilation=dilation)
        self.residual, self.skip = nn.Conv1d(width, width, 1), nn.Conv1d(width, 2 * width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.conv(functional.pad(x, (self.dilation, 0))).chunk(2, 1)
        y = torch.tanh(a) * torch.sigmoid(b)
        return x + self.residual(y), self.skip(y)


class WaveNet(nn.Module):
    """van den Oord et al. 2016: one stack of dilations 1 to 128."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, width, 1)
        self.layers = nn.ModuleList(WaveNetLayer(width, 2**power) for power in range(8))
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv1d(2 * width, 2 * width, 1), nn.ReLU(), nn.Conv1d(2 * width, 256, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        skips = []
        for layer in self.layers:
            x, skip = layer(x)
            skips.append(skip)
        logits: Tensor = self.head(torch.stack(skips).sum(0))
        return logits


class TemporalBlock(nn.Module):
    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv1d_bn(entering, leaving, 9, stride), conv1d_bn(leaving, leaving, 9, rectified=False)
        )
        self.shortcut = conv1d_bn(entering, leaving, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def tc_resnet8() -> nn.Module:
    """Choi et al. 2019: bands are channels, convolutions run over time."""
    layers: list[nn.Module] = [nn.Conv1d(40, 16, 3, padding=1, bias=False)]
    entering = 16
    for leaving in (24, 32, 48):
        layers.append(TemporalBlock(entering, leaving, 2))
        entering = leaving
    head = [nn.AdaptiveAvgPool1d(1), nn.Dropout(0.5), nn.Conv1d(entering, 12, 1), nn.Flatten()]
    return nn.Sequential(*layers, *head)


class QuartzBlock(nn.Module):
    """Separable 1d convolutions five deep around a residual (Kriman et al. 2020)."""

    def __init__(self, entering: int, leaving: int, kernel: int, repeat: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = entering
        for number in range(repeat):
            depthwise = nn.Conv1d(
                width, width, kernel, padding=kernel // 2, groups=width, bias=False
            )
            last = number == repeat - 1
            layers += [depthwise, conv1d_bn(width, leaving, 1, rectified=not last)]
            width = leaving
        self.body = nn.Sequential(*layers)
        self.shortcut = conv1d_bn(entering, leaving, 1, rectified=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def quartznet() -> nn.Module:
    blocks = [QuartzBlock(a, b, k) for a, b, k in ((128, 128, 33), (128, 192, 39), (192, 256, 51))]
    return nn.Sequential(
        conv1d_bn(64, 128, 33, 2), *blocks, conv1d_bn(256, 256, 87, dilation=2),
        conv1d_bn(256, 512, 1), nn.Conv1d(512, 29, 1), nn.LogSoftmax(1),
    )  # fmt: skip


class GlobalNorm(nn.Module):
    """Conv-TasNet's norm over channels and time, written out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(1, 2), keepdim=True)
        power = ((x - mean) ** 2).mean(dim=(1, 2), keepdim=True)
        return self.gamma * (x - mean) / torch.pow(power + 1e-8, 0.5) + self.beta


class Separator(nn.Module):
    def __init__(self, width: int, hidden: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(width, hidden, 1), nn.PReLU(), GlobalNorm(hidden),
            nn.Conv1d(hidden, hidden, 3, padding=dilation, dilation=dilation, groups=hidden),
            nn.PReLU(), GlobalNorm(hidden), nn.Conv1d(hidden, width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class ConvTasNet(nn.Module):
    """Luo & Mesgarani 2019: masks over a learned basis, a transposed convolution back to sound."""

    def __init__(self, basis: int = 128, width: int = 64, speakers: int = 2) -> None:
        super().__init__()
        self.speakers, self.basis = speakers, basis
        self.encode = nn.Conv1d(1, basis, 16, 8, bias=False)
        self.norm, self.first = GlobalNorm(basis), nn.Conv1d(basis, width, 1)
        self.separate = nn.Sequential(*(Separator(width, 128, 2**power) for power in range(6)))
        self.mask = nn.Sequential(nn.PReLU(), nn.Conv1d(width, speakers * basis, 1), nn.Sigmoid())
        self.decode = nn.ConvTranspose1d(basis, 1, 16, 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        w = torch.relu(self.encode(x))  # (N, basis, T)
        masks = self.mask(self.separate(self.first(self.norm(w))))
        masks = masks.view(x.shape[0], self.speakers, self.basis, -1)
        parts = [self.decode(w * masks[:, speaker]) for speaker in range(self.speakers)]
        return torch.cat(parts, 1)


class Cnn10(nn.Module):
    """PANNs (Kong et al. 2020): norm over bands, average pools, maximum and mean over time."""

    def __init__(self, width: int = 32, bands: int = 64) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(bands)
        layers: list[nn.Module] = []
        entering = 1
        for level in range(4):
            leaving = width * 2**level
            for first in (entering, leaving):
                layers += [nn.Conv2d(first, leaving, 3, padding=1, bias=False)]
                layers += [nn.BatchNorm2d(leaving), nn.ReLU()]
            layers += [nn.AvgPool2d(2), nn.Dropout(0.2)]
            entering = leaving
        self.layers = nn.Sequential(*layers)
        self.fc1, self.fc2 = nn.Linear(entering, entering), nn.Linear(entering, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)  # (N, 1, F, T), normalized by band
        x = self.layers(x).mean(2)  # (N, C, T / 16)
        most, _ = torch.max(x, 2)
        x = functional.relu(self.fc1(most + torch.mean(x, 2)))
        return torch.sigmoid(self.fc2(x))


def listener(
    name: str,
    family: str,
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    inputs: Inputs = sounds,
) -> Network:
    return Network(name, family, "zoo", Task.AUDIO, shape, make, inputs)


NETWORKS = (
    listener("m5", "M5", m5, (1, 8000)),
    listener("se_resnet1d", "ResNet 1d", se_resnet1d, (1, 8000)),
    listener("wavenet", "WaveNet", WaveNet, (1, 2048)),
    listener("tc_resnet8", "TC-ResNet", tc_resnet8, (40, 101), bands),
    listener("quartznet", "QuartzNet", quartznet, (64, 200), bands),
    listener("conv_tasnet", "Conv-TasNet", ConvTasNet, (1, 4000)),
    listener("cnn10", "PANNs", partial(Cnn10), (1, 64, 128), spectrograms),
)
