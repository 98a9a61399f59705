"""`zeropoint` as tests call it, and what it answered."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from zeropoint.cli import main

NET = """
import torch
from torch import nn


def factory():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 2)
    ).eval()


def for_colours():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 2))


def gives_images():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 2, 3))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)

    def forward(self, x):
        return self.conv(x) if x.sum() > 0 else self.conv(-x)


def nothing_to_quantize():
    return nn.ReLU()
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:  # whatever the command's JSON says
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """`zeropoint` with a model, its data and a folder to write to."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = self.capture.readouterr()
        code = left.value.code
        assert isinstance(code, int | None)
        return Outcome(code or 0, captured.out, captured.err)

    def model(self, name: str) -> str:
        return f"{self.folder / 'cli_net.py'}:{name}"

    @property
    def source(self) -> str:
        return self.model("factory")

    @property
    def data(self) -> Path:
        return self.folder / "images"

    @property
    def file(self) -> Path:
        """A quantized network, made at the first use."""
        path = self.folder / "net.safetensors"
        if not path.exists():
            assert self("quantize", self.source, "--data", self.data, "--out", path).code == 0
        return path


def assert_mistake(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("zeropoint: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err
