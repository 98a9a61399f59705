"""The network of the static-quantization notebook (`003_*.txt`), without its stubs."""

from torch import Tensor, nn


def mnist() -> nn.Module:
    """Two convolutions and two linear layers: (N, 1, 28, 28) -> (N, 10), 1.6 million weights."""
    return Mnist()


class Mnist(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.relu2 = nn.ReLU()
        self.maxpool2 = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(14 * 14 * 64, 128)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.conv1(x))  # (N, 32, 28, 28)
        x = self.relu2(self.conv2(x))  # (N, 64, 28, 28)
        x = self.maxpool2(x)  # (N, 64, 14, 14)
        x = x.reshape(x.size(0), -1)  # (N, 12544)
        x = self.relu3(self.fc1(x))  # (N, 128)
        logits: Tensor = self.fc2(x)
        return logits
