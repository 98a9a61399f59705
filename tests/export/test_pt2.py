import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import zeropoint as zp
from tests.nets import Gated, Islands, Residual, images, seeded
from zeropoint.errors import ExportError
from zeropoint.export.pt2 import to_exported_program

ANYWHERE = """
import sys, torch
import torch.ao.quantization.fx._decomposed
print(torch.export.load(sys.argv[1]).module()(torch.ones(3, 3, 8, 8)).shape)
"""


@pytest.mark.parametrize("make", [Residual, Gated, Islands])
def test_the_exported_program_computes_the_same_for_any_batch(make: type[torch.nn.Module]) -> None:
    q = zp.quantize(seeded(make()), [images()], engine="reference")
    module = to_exported_program(q.program).module()
    for batch in (1, 5):
        x = images(batch, seed=batch)
        expected = q(x)
        assert torch.allclose(module(x), expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_it_is_made_of_torchs_own_quantize_and_dequantize() -> None:
    q = zp.quantize(seeded(Residual()), [images()], engine="reference")
    targets = {str(node.target) for node in to_exported_program(q.program).graph.nodes}
    assert "quantized_decomposed.quantize_per_tensor.default" in targets
    assert "quantized_decomposed.dequantize_per_channel.default" in targets


def test_another_process_loads_it_without_zeropoint(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    zp.quantize(seeded(Residual()), [images()], engine="reference").export(path)
    command = [sys.executable, "-W", "ignore", "-c", ANYWHERE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "torch.Size([3, 5])"


def test_an_image_of_another_size_runs_where_the_model_takes_it() -> None:
    q = zp.quantize(seeded(Residual()), [images()], engine="reference")
    x = images(2, size=12)
    found = to_exported_program(q.program).module()(x)
    assert torch.allclose(found, q(x), rtol=0, atol=1e-5 * q(x).abs().max().item())


def test_outputs_are_nested_as_the_models_are() -> None:
    q = zp.quantize(Two().eval(), [images()], engine="reference")
    found = to_exported_program(q.program).module()(images())
    assert found.keys() == {"features", "logits"}


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.conv(x)
        return {"features": features, "logits": self.fc(features.mean((2, 3)))}


def test_what_torch_cannot_export_is_an_export_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **more: object) -> None:
        raise RuntimeError("no such thing\nand more")

    q = zp.quantize(seeded(Residual()), [images()], engine="reference")
    monkeypatch.setattr(torch.export, "export", fail)
    with pytest.raises(ExportError, match=r"does not take the program: no such thing$"):
        to_exported_program(q.program)
