"""The network of the report: LeNet without biases, or with one in the last layer.

conv1 5x5   (N,  3, 32, 32) -> (N, 12, 28, 28)   ReLU, max pool 2 -> (N, 12, 14, 14)
conv2 3x3                   -> (N, 32, 12, 12)   ReLU, max pool 2 -> (N, 32,  6,  6)
fc1                         -> (N, 256)          ReLU
fc2                         -> (N,  64)          ReLU
fc3                         -> (N,  10)          logits
"""

from torch import Tensor, nn

LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")


class LeNet(nn.Module):
    """(N, 3, 32, 32) -> (N, 10), 316,292 weights."""

    def __init__(self, *, bias: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, kernel_size=5, bias=False)
        self.conv2 = nn.Conv2d(12, 32, kernel_size=3, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        self.fc1 = nn.Linear(32 * 6 * 6, 256, bias=False)
        self.fc2 = nn.Linear(256, 64, bias=False)
        self.fc3 = nn.Linear(64, 10, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.conv1(x)))  # (N, 12, 14, 14)
        x = self.pool(self.relu(self.conv2(x)))  # (N, 32, 6, 6)
        x = x.flatten(1)  # (N, 1152)
        x = self.relu(self.fc1(x))  # (N, 256)
        x = self.relu(self.fc2(x))  # (N, 64)
        logits: Tensor = self.fc3(x)
        return logits
