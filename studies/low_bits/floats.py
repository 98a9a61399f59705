"""The float ResNet-20 that every other training starts from.

python -m studies.low_bits.floats        trains it, and writes weights/float.safetensors
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from studies.cifar10 import images, right
from studies.low_bits.network import ResNet20
from studies.training import Schedule, fit, in_channels_last

FILE = Path(__file__).parent / "weights" / "float.safetensors"
SEED = 0
SCHEDULE = Schedule(epochs=60, lr=0.2, warm_up=0.1, small=42)
"""42 of the 60 epochs look at crops of 24x24, at half the cost."""


def float_network() -> ResNet20:
    """The trained network in eval mode."""
    model = ResNet20()
    model.load_state_dict(load_file(FILE))
    return model.eval()


def main() -> None:
    torch.manual_seed(SEED)
    model = in_channels_last(ResNet20())
    fit(model, images("train"), SCHEDULE, name="ResNet-20")
    print(f"{int(right(model, images('test')).sum())} of 10,000 right", file=sys.stderr)
    FILE.parent.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, FILE)


if __name__ == "__main__":
    main()
