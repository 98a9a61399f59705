"""Three dimensions: clips and volumes."""

from functools import partial

import torch
from torch import Tensor, nn

from zoo.inputs import clips
from zoo.network import Network, Task

CLASSES = 50
Triple = int | tuple[int, int, int]


def conv3d_bn(
    entering: int, leaving: int, kernel: Triple = 3, stride: Triple = 1, *, rectified: bool = True
) -> nn.Sequential:
    sizes = (kernel,) * 3 if isinstance(kernel, int) else kernel
    padding = (sizes[0] // 2, sizes[1] // 2, sizes[2] // 2)
    conv = nn.Conv3d(entering, leaving, sizes, stride, padding, bias=False)
    layers = [conv, nn.BatchNorm3d(leaving)]
    return nn.Sequential(*layers, nn.ReLU()) if rectified else nn.Sequential(*layers)


def c3d() -> nn.Module:
    """Tran et al. 2015, a quarter as wide."""
    return nn.Sequential(
        nn.Conv3d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2),
        nn.Conv3d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv3d(64, 64, 3, padding=1), nn.ReLU(),
        nn.MaxPool3d(2), nn.Conv3d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2),
        nn.Flatten(), nn.Linear(128 * 16, 256), nn.ReLU(), nn.Dropout(), nn.Linear(256, CLASSES),
    )  # fmt: skip


class Block3d(nn.Module):
    """A basic block, whole or factored into space and time (R(2+1)D, Tran et al. 2018)."""

    def __init__(self, entering: int, leaving: int, stride: int, *, factored: bool) -> None:
        super().__init__()

        def conv(a: int, b: int, step: int, *, rectified: bool) -> nn.Module:
            if not factored:
                return conv3d_bn(a, b, 3, step, rectified=rectified)
            return nn.Sequential(
                conv3d_bn(a, b, (1, 3, 3), (1, step, step)),
                conv3d_bn(b, b, (3, 1, 1), (step, 1, 1), rectified=rectified),
            )

        self.conv1 = conv(entering, leaving, stride, rectified=True)
        self.conv2 = conv(leaving, leaving, 1, rectified=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or entering != leaving:
            self.shortcut = conv3d_bn(entering, leaving, 1, stride, rectified=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv2(self.conv1(x)) + self.shortcut(x))


def resnet3d(*, factored: bool) -> nn.Module:
    """18 layers, a quarter as wide."""
    layers: list[nn.Module] = [conv3d_bn(3, 16, (3, 7, 7), (1, 2, 2))]
    entering = 16
    for stage, leaving in enumerate((16, 32, 64, 128)):
        layers.append(Block3d(entering, leaving, 2 if stage else 1, factored=factored))
        layers.append(Block3d(leaving, leaving, 1, factored=factored))
        entering = leaving
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(entering, CLASSES)
    )


class UNet3d(nn.Module):
    """Çiçek et al. 2016: transposed 3d convolutions, concatenations."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [conv3d_bn(1, width), conv3d_bn(width, 2 * width), conv3d_bn(2 * width, 4 * width)]
        )
        self.pool = nn.MaxPool3d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(2 * leaving, leaving, 2, 2) for leaving in (2 * width, width)
        )
        self.join = nn.ModuleList(conv3d_bn(2 * leaving, leaving) for leaving in (2 * width, width))
        self.head = nn.Conv3d(width, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down[0](x)
        second = self.down[1](self.pool(first))
        y = self.down[2](self.pool(second))
        for up, join, skip in zip(self.up, self.join, (second, first), strict=True):
            y = join(torch.cat([skip, up(y)], 1))
        logits: Tensor = self.head(y)
        return logits


NETWORKS = (
    Network("c3d", "C3D", "zoo", Task.VIDEO, (3, 8, 64, 64), c3d, clips),
    Network("resnet3d_18", "ResNet 3d", "zoo", Task.VIDEO, (3, 8, 64, 64),
            partial(resnet3d, factored=False), clips),
    Network("r2plus1d_18", "R(2+1)D", "zoo", Task.VIDEO, (3, 8, 64, 64),
            partial(resnet3d, factored=True), clips),
    Network("unet3d", "U-Net 3d", "zoo", Task.SEGMENTATION, (1, 16, 32, 32), UNet3d, clips),
)  # fmt: skip
