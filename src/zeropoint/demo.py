"""The whole way in seconds: train a small network on real digits, quantize, compare, save, reload.

The digits are scikit-learn's: 1797 handwritten ones of 8x8 pixels, scanned from 43 people. The
network has what matters in larger ones: batch norms to fold, residual additions, a strided block
and a global average.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import zeropoint as zp
from zeropoint.errors import DataError
from zeropoint.progress import Progress, silent

SEED = 0
EPOCHS = 6
LEARNING_RATE = 3e-3
BATCH_SIZE = 64
TEST_IMAGES = 597
BRIGHTEST_PIXEL = 16

Loader = DataLoader[tuple[Tensor, ...]]


@dataclass(frozen=True)
class Demonstration:
    """What the demo shows: the network, its comparison with the float one, its way to disk."""

    quantized: zp.QuantizedModel
    comparison: zp.Comparison
    reloaded_is_equal: bool


def demonstrate(*, out: Path | None = None, progress: Progress = silent) -> Demonstration:
    """Trains, quantizes, compares, saves to `out` (or a temporary folder) and reloads."""
    train_loader, test_loader = digits()
    model = train(train_loader, progress)

    quantized = zp.quantize(model, train_loader, progress=progress)
    comparison = zp.compare(model, quantized, test_loader)

    with tempfile.TemporaryDirectory() as folder:
        file = out or Path(folder) / "digits.safetensors"
        quantized.save(file)
        reloaded = zp.load(file, quantized.engine)
    equal = all(torch.equal(quantized(x), reloaded(x)) for x, _ in test_loader)
    return Demonstration(quantized, comparison, equal)


def digits() -> tuple[Loader, Loader]:
    """1200 images to train with and 597 to test, as (N, 1, 8, 8) in 0..1 with their labels."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            "the demo needs scikit-learn, which is not installed: pip install 'zeropoint[demo]'"
        ) from error
    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float().unsqueeze(1) / BRIGHTEST_PIXEL
    labels = torch.from_numpy(bunch.target).long()
    generator = torch.Generator().manual_seed(SEED)
    order = torch.randperm(len(images), generator=generator)
    test, train = order[:TEST_IMAGES], order[TEST_IMAGES:]
    return (
        loader_of(images[train], labels[train], generator, shuffle=True),
        loader_of(images[test], labels[test], generator, shuffle=False),
    )


def loader_of(
    images: Tensor, labels: Tensor, generator: torch.Generator, *, shuffle: bool
) -> Loader:
    """Batches of both; without a generator of its own a loader draws from the global one."""
    return DataLoader(
        TensorDataset(images, labels), batch_size=BATCH_SIZE, shuffle=shuffle, generator=generator
    )


def train(loader: Loader, progress: Progress = silent) -> nn.Module:
    """A `DigitNetwork` trained on the loader, in eval mode; the caller's random state is kept."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # images of 8x8 are too small to share out, and sums keep their order
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = DigitNetwork()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, epochs=EPOCHS, steps_per_epoch=len(loader)
    )
    for epoch in range(EPOCHS):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimizer.step()
            schedule.step()
        progress("train", epoch + 1, EPOCHS)
    torch.set_num_threads(threads)
    return model.eval()


class DigitNetwork(nn.Module):
    """(N, 1, 8, 8) to logits (N, 10): a stem, two residual blocks, a global average."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convolution(1, 64, 3), nn.ReLU())
        self.block1 = Residual(64, 64, stride=1)
        self.block2 = Residual(64, 128, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)  # (N, 64, 8, 8)
        x = self.block2(self.block1(x))  # (N, 128, 4, 4)
        logits: Tensor = self.fc(self.pool(x).flatten(1))
        return logits


class Residual(nn.Module):
    """`relu(two convolutions + shortcut)`; the shortcut is a convolution where shapes change."""

    def __init__(self, channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *convolution(channels, out_channels, 3, stride),
            nn.ReLU(),
            *convolution(out_channels, out_channels, 3),
        )
        same = channels == out_channels and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(*convolution(channels, out_channels, 1, stride))
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return y


def convolution(channels: int, out_channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the map's size but for the stride, and its batch norm."""
    return [
        nn.Conv2d(channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
