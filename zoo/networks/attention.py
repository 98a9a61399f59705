"""Attention by channel and by place, as blocks of convolutional networks add it."""

import torch
from torch import Tensor, nn

from zoo.networks.blocks import SqueezeExcite, conv_bn

REDUCTION = 16


def squeeze_excite(channels: int) -> nn.Module:
    return SqueezeExcite(channels, channels // REDUCTION)


class EfficientChannelAttention(nn.Module):
    """Wang et al. 2020: a 1d convolution over the channels' means."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        del channels
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3)).unsqueeze(1)  # (N, 1, C)
        gates = torch.sigmoid(self.conv(means)).transpose(1, 2).unsqueeze(-1)  # (N, C, 1, 1)
        return x * gates.expand_as(x)


class CBAM(nn.Module):
    """Woo et al. 2018: gates by channel from mean and maximum, then gates by place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // REDUCTION
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1, bias=False),
        )
        self.places = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mlp(nn.functional.adaptive_avg_pool2d(x, 1))
        most = self.mlp(nn.functional.adaptive_max_pool2d(x, 1))
        x = x * torch.sigmoid(mean + most)
        stacked = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.places(stacked))


class CoordinateAttention(nn.Module):
    """Hou et al. 2021: means along each axis, mixed together, then gates for rows and columns."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // 32)
        self.mix = conv_bn(channels, hidden, 1, act=nn.Hardswish)
        self.rows = nn.Conv2d(hidden, channels, 1)
        self.columns = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        rows = x.mean(3, keepdim=True)  # (N, C, H, 1)
        columns = x.mean(2, keepdim=True).permute(0, 1, 3, 2)  # (N, C, W, 1)
        mixed = self.mix(torch.cat([rows, columns], 2))
        by_row, by_column = torch.split(mixed, [height, width], 2)
        gates = torch.sigmoid(self.rows(by_row))
        gates = gates * torch.sigmoid(self.columns(by_column.permute(0, 1, 3, 2)))
        return x * gates


class SelectiveKernel(nn.Module):
    """Li et al. 2019: a 3x3 and a dilated 3x3 convolution, weighed by a softmax by channel."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.near = conv_bn(entering, leaving, 3, stride, groups=32)
        self.far = conv_bn(entering, leaving, 3, stride, groups=32, dilation=2)
        hidden = max(32, leaving // REDUCTION)
        self.reduce = conv_bn(leaving, hidden, 1)
        self.expand = nn.Conv2d(hidden, 2 * leaving, 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = torch.stack([self.near(x), self.far(x)], 1)  # (N, 2, C, H, W)
        s = self.reduce(branches.sum(1).mean((2, 3), keepdim=True))
        weights = self.expand(s).unflatten(1, (2, -1)).softmax(1)  # (N, 2, C, 1, 1)
        selected: Tensor = (branches * weights).sum(1)
        return selected
