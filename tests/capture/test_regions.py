"""Parts of a model that torch.export keeps apart, though they compute in float32 as the rest."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.nets import run
from zeropoint.capture import capture
from zeropoint.errors import CaptureError


class Gate(nn.Module):
    """Two results of a part without autocast, as attention in timm's EfficientViT has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", enabled=False):
            values, gates = self.conv(x).float().chunk(2, 1)
        return values * gates.sigmoid()


class Nested(nn.Module):
    """A part within a part, and one of another kind beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(4, 3, 3, padding=1), Gate()
        self.stem = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", enabled=False):
            y = self.gate(self.conv(self.stem(x)).relu_())
        with torch.enable_grad():
            return y + y.mean((2, 3), keepdim=True)


@pytest.mark.parametrize("kind", [Gate, Nested])
def test_it_is_captured_as_if_it_were_not_apart(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, x = kind().eval(), torch.randn(2, 3, 9, 9)
    graph = capture(model, (x,))
    for images in (x, torch.randn(5, 3, 9, 9)):
        with torch.no_grad():
            torch.testing.assert_close(run(graph, images)[0], model(images))


class Choice(nn.Module):
    """Within a part that changes no number one that cannot be captured."""

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", enabled=False):
            return torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))


def test_what_cannot_be_captured_within_it_is_told_with_the_users_line() -> None:
    with pytest.raises(
        CaptureError, match=r"^test_regions.py:\d+ .*torch\.cond.* under cond; choose"
    ):
        capture(Choice().eval(), (torch.randn(2, 3, 9, 9),))


def test_its_layers_keep_their_names_and_lines() -> None:
    graph = capture(Nested().eval(), (torch.randn(2, 3, 9, 9),))
    layers = {node.origin.layer: node.origin.line for node in graph.nodes}
    assert {"stem", "conv", "gate.conv", "gate"} <= layers.keys()
    assert "test_regions.py" in layers["gate"]
    assert "values * gates.sigmoid()" in layers["gate"]
