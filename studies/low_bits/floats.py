"""The float ResNet-20 that every other training starts from.

python -m studies.low_bits.floats        trains it, and writes weights/float.safetensors
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from studies.cifar10 import ROOT, images, right
from studies.low_bits.network import ResNet20
from studies.training import Schedule, fit, in_channels_last

FILE = Path(__file__).parent / "weights" / "float.safetensors"
CACHE = ROOT / ".cache" / "low_bits"
SEED = 0
SCHEDULES = (
    Schedule(epochs=60, lr=0.2, warm_up=0.1, small=42),
    Schedule(epochs=24, lr=0.1, warm_up=0.05),
)
"""One after the other. 42 of the first 60 epochs look at crops of 24x24, at half the cost."""


def float_network() -> ResNet20:
    """The trained network in eval mode."""
    model = ResNet20()
    model.load_state_dict(load_file(FILE))
    return model.eval()


def main() -> None:
    torch.manual_seed(SEED)
    model = in_channels_last(ResNet20())
    for index, schedule in enumerate(SCHEDULES):
        file = CACHE / f"float-{index}.safetensors"
        if not file.exists():
            fit(model, images("train"), schedule, name=f"ResNet-20, schedule {index}")
            save(model, file)
        model.load_state_dict(load_file(file))
    print(f"{int(right(model, images('test')).sum())} of 10,000 right", file=sys.stderr)
    save(model, FILE)


def save(model: nn.Module, file: Path) -> None:
    """The model's parameters and buffers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, file)


if __name__ == "__main__":
    main()
