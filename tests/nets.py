"""Small networks with what matters in large ones, and images for them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zeropoint.calibrate import calibrate
from zeropoint.graph.graph import Graph
from zeropoint.graph.walk import walk
from zeropoint.lower import lower
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance
from zeropoint.recipe import Recipe
from zeropoint.target import REFERENCE


def images(count: int = 4, channels: int = 3, size: int = 8, *, seed: int = 0) -> Tensor:
    """Standard normal images (N, C, H, W), the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, size, size, generator=generator)


def seeded(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """The model in eval mode with seeded weights and batch norms that do something.

    Factors are of both signs, and one of them is zero: all three have to fold.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 4
        values = torch.randn(parameter.shape, generator=generator) / fan_in**0.5
        parameter.data.copy_(values)
        assert name  # a parameter of a module always has one
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            count = module.num_features
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.copy_(0.1 * torch.randn(count, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(count, generator=generator))
            if module.affine:
                module.weight.data.copy_(1 - 1.5 * torch.rand(count, generator=generator))
                module.weight.data[-1] = 0.0
    return model.eval()


class Residual(nn.Module):
    """(N, 3, H, W) to (N, 5): a stem, a plain and a strided residual block, a pool, a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.block1 = Block(8, 8, 1)
        self.block2 = Block(8, 12, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))  # (N, 8, H, W)
        x = self.block2(self.block1(x))  # (N, 12, H / 2, W / 2)
        y: Tensor = self.fc(self.pool(x).flatten(1))
        return y


class Block(nn.Module):
    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out_channels:
            conv = nn.Conv2d(channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        z: Tensor = self.relu(y)
        return z


class MobileNetLike(nn.Module):
    """(N, 3, H, W) to (N, 5): inverted residuals with depthwise convolutions and ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(inplace=True)
        )
        self.expand = nn.Sequential(
            nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(inplace=True)
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(inplace=True),
        )
        self.project = nn.Sequential(nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.project(self.depthwise(self.expand(x)))
        y: Tensor = self.classifier(self.dropout(x.mean([2, 3])))
        return y


class Gated(nn.Module):
    """(N, 3, H, W) to (N, 5): SiLU, squeeze-and-excitation, a scaled residual branch, functions by
    hand, a difference and the greater of two values, a sigmoid at the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.SiLU(inplace=True)
        )
        self.squeeze = nn.Conv2d(8, 4, 1)
        self.excite = nn.Conv2d(4, 8, 1)
        self.branch = nn.Conv2d(8, 8, 3, padding=1)
        self.gamma = nn.Parameter(torch.ones(8, 1, 1))
        self.last = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(2 * x - 1)
        gate = self.excite(nn.functional.mish(self.squeeze(x.mean((2, 3), keepdim=True))))
        x = x * torch.sigmoid(gate)
        x = x + self.gamma * self.branch(x)
        y = x * nn.functional.relu6(x + 3) / 6
        y = torch.maximum(y - x.tanh(), self.last(y))
        return self.head(self.fc(y.abs().add(0.1).sqrt().mean((2, 3))))

    def head(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)


class Islands(nn.Module):
    """(N, 3, H, W) to (N, 5): group norm between two convolutions, softmax at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv2(self.norm(self.conv1(x))))
        return torch.softmax(self.fc(x.mean((2, 3))), 1)


def run(graph: Graph, *inputs: Tensor) -> tuple[Any, ...]:
    """The outputs of a float graph."""
    with torch.no_grad():
        return walk(graph, inputs)


def lowered(graph: Graph, *inputs: Tensor, recipe: Recipe | None = None) -> Program:
    """The program of a float graph, calibrated on one batch."""
    plan = calibrate(graph, [inputs], recipe or Recipe(), REFERENCE)
    return lower(graph, plan, Provenance(model="test"))


def assert_same_function(
    before: Graph, after: Graph, inputs: Sequence[Tensor], tolerance: float
) -> None:
    """Both graphs compute the same, to a share of the greatest output."""
    for expected, found in zip(run(before, *inputs), run(after, *inputs), strict=True):
        bound = tolerance * max(1.0, expected.abs().max().item())
        assert found.shape == expected.shape
        assert (found - expected).abs().max().item() <= bound
