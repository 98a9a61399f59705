"""Network in network (Lin et al. 2014), the article's family, narrow and with 3x3 for 5x5.

conv 3x3, 48 -- 1x1, 32 -- 1x1, 24 -- max pool 3x3 / 2
conv 3x3, 64 -- 1x1, 64 -- 1x1, 64 -- max pool 3x3 / 2
conv 3x3, 96 -- 1x1, 96 -- 1x1, 10 -- mean

Each convolution is followed by batch norm and ReLU, the last one too, as in the article's code.
The article's network has 160 to 192 channels and 5x5 in the first two rows: 222 M MAC an image,
where this one has 13 M and 92,000 weights.
"""

from torch import Tensor, nn


class NetworkInNetwork(nn.Module):
    """(N, 3, 32, 32) -> (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *layer(3, 48, 3),
            *layer(48, 32, 1),
            *layer(32, 24, 1),
            nn.MaxPool2d(3, stride=2, padding=1),
            *layer(24, 64, 3),
            *layer(64, 64, 1),
            *layer(64, 64, 1),
            nn.MaxPool2d(3, stride=2, padding=1),
            *layer(64, 96, 3),
            *layer(96, 96, 1),
            *layer(96, 10, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(x)
        return logits


def layer(entering: int, width: int, kernel: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(entering, width, kernel, padding=kernel // 2)
    return convolution, nn.BatchNorm2d(width), nn.ReLU()
