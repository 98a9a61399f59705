"""Memory of a process whose images change their size at every call.

    python -m tests.execute.onednn.flat --calls 10000 --engine onednn

prints its resident megabytes a dozen times. Sizes are drawn from so many that no cache holds all.
"""

import argparse
import gc
import sys
import warnings
from collections.abc import Iterator
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zeropoint as zp

PAGE = 4096
READINGS = 12


class Everything(nn.Module):
    """What keeps something for a size: windows, sums, joints, corners, means, rows, islands."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.down = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1)
        self.up, self.joint = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(16, 8, 1)
        self.rows, self.last = nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        a = self.first(x).relu()
        b = self.down(a).relu()
        b = F.silu(b) + b
        for align_corners in (True, False):
            u = F.interpolate(self.up(b), a.shape[2:], mode="bilinear", align_corners=align_corners)
        y = self.joint(torch.cat([a, u], 1)) + a
        y = F.max_pool2d(F.softsign(y), 3, 2, ceil_mode=True)
        y = self.rows(y.movedim(1, -1)).movedim(-1, 1)
        y = y * F.avg_pool2d(y, 3, 1, 1).mean((2, 3), keepdim=True).sigmoid()
        z: Tensor = self.last(F.group_norm(y, 2).mean((2, 3)))
        return z


def resident() -> float:
    """Megabytes."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE / 1e6


def readings(calls: int, engine: str) -> Iterator[tuple[int, float]]:
    """The number of calls so far and the megabytes then."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random = Random(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        q = zp.quantize(Everything().eval(), [torch.randn(4, 3, 32, 32)], engine=engine)
    for done in range(1, calls + 1):
        sizes = random.randint(8, 40), random.randint(8, 40)
        q(torch.randn(random.choice([1, 1, 2, 3]), 3, *sizes))
        if done % max(1, calls // READINGS) == 0:
            yield done, resident()


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--engine", default="onednn")
    given = parser.parse_args()
    for done, megabytes in readings(given.calls, given.engine):
        sys.stdout.write(f"{done} {megabytes:.1f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
