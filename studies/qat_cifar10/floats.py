"""The float network that the study's other trainings start from.

python -m studies.qat_cifar10.floats        trains it, and writes weights/float.safetensors
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from studies.cifar10 import images, right
from studies.qat_cifar10.network import NetworkInNetwork
from studies.training import Schedule, fit, in_channels_last

FILE = Path(__file__).parent / "weights" / "float.safetensors"
SEED = 0
SCHEDULE = Schedule(epochs=60, lr=0.1, warm_up=0.1, small=36, weight_decay=3e-4)


def float_network() -> NetworkInNetwork:
    """The trained network in eval mode."""
    model = NetworkInNetwork()
    model.load_state_dict(load_file(FILE))
    return model.eval()


def main() -> None:
    torch.manual_seed(SEED)
    model = in_channels_last(NetworkInNetwork())
    fit(model, images("train"), SCHEDULE, name="NIN")
    print(f"{int(right(model, images('test')).sum())} of 10,000 right", file=sys.stderr)
    FILE.parent.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, FILE)


if __name__ == "__main__":
    main()
