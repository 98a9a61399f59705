"""What weights take on disk."""

import tempfile
from pathlib import Path

import torch
from torch import nn

from zeropoint.program import file
from zeropoint.program.program import Program


def float_bytes(model: nn.Module) -> int:
    """The size of the model's state dict as torch.save writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.pt"
        torch.save(model.state_dict(), path)
        return path.stat().st_size


def program_bytes(program: Program) -> int:
    """The size of the program's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.safetensors"
        file.save(program, path)
        return path.stat().st_size
