"""Float networks as the notebook trains them: 5 epochs of Adam at 1e-3 in batches of 64.

One thread, so that a seed fixes the order of every sum and the result repeats on one machine.
Weights are kept under `.cache/`, which git ignores: a network is 6 MB.
"""

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.networks.mnist import mnist as network
from zeropoint.data import open_data

EPOCHS = 5
LEARNING_RATE = 1e-3
BATCH_SIZE = 64

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "mnist_static"
HUB_NAME = "ylecun/mnist"


def dataset(split: str) -> str:
    """Where MNIST's `train` or `test` is: `$ZEROPOINT_DATA`, `../shared/data`, or else the hub."""
    for folder in (os.environ.get("ZEROPOINT_DATA"), ROOT.parent / "shared" / "data"):
        if folder and (file := Path(folder) / "mnist" / f"{split}.parquet").exists():
            return str(file)
    return f"{HUB_NAME}:{split}"


def trained(seed: int) -> nn.Module:
    """The network of this seed in eval mode: from `.cache/`, or trained now."""
    model = network()
    file = CACHE / f"seed-{seed}.safetensors"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(train(seed).state_dict(), file)
    model.load_state_dict(load_file(file))
    return model.eval()


def train(seed: int) -> nn.Module:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    images, labels = everything(dataset("train"))
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.split(torch.randperm(len(images)), BATCH_SIZE):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimizer.step()
            total += loss.item() * len(batch)
        print(f"seed {seed}: epoch {epoch + 1} of {EPOCHS}, loss {total / len(images):.4f}")
    torch.set_num_threads(threads)
    return model


def everything(data: str) -> tuple[Tensor, Tensor]:
    """All images (60000, 1, 28, 28) and labels (60000,), decoded once."""
    batches = list(open_data(data, batch_size=1000))
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)
