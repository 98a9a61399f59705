"""Right and wrong answers of networks on the same images: kept in files, compared in pairs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from studies.cifar10 import ROOT

RIGHT = "right"


@dataclass(frozen=True)
class Answers:
    """A folder in `.cache/` with one file a run, so that a study can be stopped and resumed."""

    study: str

    @property
    def folder(self) -> Path:
        """Where they are."""
        return ROOT / ".cache" / self.study

    def of(self, name: str, run: Callable[[], Tensor]) -> Tensor:
        """For each image whether the run is right, (N,) bool: from its file, or computed now."""
        file = self._file(name)
        if not file.exists():
            begin = time.monotonic()
            answers = run()
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({RIGHT: answers.to(torch.uint8)}, file)
            seconds = time.monotonic() - begin
            print(f"{name}: {int(answers.sum())} right, {seconds:.0f} s", flush=True)
        return self.known(name)

    def known(self, name: str) -> Tensor:
        """The answers of a run that is over; FileNotFoundError if it never was."""
        return load_file(self._file(name))[RIGHT].to(torch.bool)

    def _file(self, name: str) -> Path:
        return self.folder / f"{''.join(c if c.isalnum() else '-' for c in name)}.safetensors"


@dataclass(frozen=True)
class Difference:
    """Between networks on the same images, in points: 100 times the share of images."""

    points: float
    error: float
    gained: int
    lost: int

    def __str__(self) -> str:
        return f"{self.points:+.2f} ± {self.error:.2f}"


def difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Difference:
    """The mean over pairs of runs, such as seeds, with the standard error of the paired difference.

    `gained` and `lost` count the images that only ours, or only theirs, has right.
    """
    pairs = list(zip(ours, theirs, strict=True))
    gained = sum(int((a & ~b).sum()) for a, b in pairs)
    lost = sum(int((~a & b).sum()) for a, b in pairs)
    images = len(pairs) * len(pairs[0][0])
    points = (gained - lost) / images
    variance = ((gained + lost) / images - points**2) / images
    return Difference(100 * points, 100 * variance**0.5, gained, lost)


def accuracy(answers: Sequence[Tensor]) -> float:
    """The mean over runs, in per cent."""
    return 100 * float(torch.stack(list(answers)).to(torch.float64).mean())
