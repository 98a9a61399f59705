"""The shell, with a model and ten images to call it on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.shell import NET, Shell


@pytest.fixture
def zeropoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    (tmp_path / "cli_net.py").write_text(NET)
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(5):
            pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    return Shell(tmp_path, capsys)
