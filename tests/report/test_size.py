from pathlib import Path

import torch
from torch import nn

import zeropoint as zp
from tests.nets import images, seeded
from zeropoint.report.size import float_bytes, program_bytes


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    model = seeded(nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 256, 3)))
    quantized = zp.quantize(model, [images()])
    quantized.save(tmp_path / "int8")
    torch.save(model.state_dict(), tmp_path / "float")
    assert float_bytes(model) == (tmp_path / "float").stat().st_size
    assert program_bytes(quantized.program) == (tmp_path / "int8").stat().st_size
    assert float_bytes(model) > 3.8 * program_bytes(quantized.program)
