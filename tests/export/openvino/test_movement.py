"""Beyond the conformance suite: sizes that only the run knows, and what has no counterpart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.export.behind import program_of
from tests.nets import images
from zeropoint.errors import ExportError
from zeropoint.execute.openvino import OpenVino, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export import export

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


@pytest.mark.parametrize(
    "function",
    [
        lambda y: F.pad(y, (0, y.shape[3] // 2, 1, 0)),
        lambda y: F.pad(y, (0, y.shape[3] // 2, 0, 0), mode="reflect"),
        lambda y: F.pad(y, (1, 2, 3, 0), mode="circular"),
        lambda y: y[:, :, : y.shape[2] // 2],
        lambda y: y.flatten(2).unflatten(2, (y.shape[2], y.shape[3])).permute(0, 2, 3, 1),
        lambda y: F.interpolate(y, size=(y.shape[2] * 2, y.shape[3] + 1)),
        lambda y: F.pixel_unshuffle(y[:, :, : 2 * (y.shape[2] // 2), : y.shape[3] // 2 * 2], 2),
        lambda y: F.unfold(y, 3, stride=2),
        lambda y: y.chunk(2, 1)[0].expand(-1, 2, -1, -1).flip(3).roll(1, 2),
        nn.AdaptiveMaxPool2d(3),
    ],
)
def test_what_moves_follows_the_size_of_the_image(function: Callable[[Any], Tensor]) -> None:
    program = program_of(function)
    executor = OpenVino(program)
    for size in (8, 9, 13):
        x = images(2, size=size)
        (found,), (expected,) = executor.run([x]), Reference(program).run([x])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (
            lambda y: F.pad(y, (0, y.shape[3] // 2, 0, 0), mode="circular"),
            "circular padding by amounts that only the run knows",
        ),
    ],
)
def test_what_it_cannot_carry_is_refused(
    function: Callable[[Any], Tensor], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=reason):
        export(program_of(function), tmp_path / "model.xml")
    assert not list(tmp_path.iterdir())
