"""Beyond the conformance suite: sizes that only the run knows, and what ONNX has no words for."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.conformance.draft import Case
from tests.export.behind import program_of
from tests.export.onnx.runtime import run_model
from tests.nets import images
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import ExportError
from zeropoint.execute.onnxruntime import why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export.onnx import to_onnx
from zeropoint.graph.build import Builder
from zeropoint.graph.value import Quantized
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.shuffle import ChannelShuffle
from zeropoint.program.program import Program

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
        lambda y: F.interpolate(y, size=(y.shape[2] * 2, 5), mode="bilinear"),
        lambda y: F.pixel_unshuffle(y[:, :, : 2 * (y.shape[2] // 2), : y.shape[3] // 2 * 2], 2),
        lambda y: F.unfold(y, 3, stride=2),
        lambda y: y.chunk(2, 1)[0].expand(-1, 2, -1, -1).flip(3).roll(1, 2),
    ],
)
@pytest.mark.parametrize("size", [8, 9, 13])
def test_what_moves_follows_the_size_of_the_image(
    function: Callable[[Any], Tensor], size: int
) -> None:
    case = Case(program_of(function), (images(2, size=size),))
    (found,) = run_model(to_onnx(case.program), case)
    torch.testing.assert_close(found, Reference(case.program).run(case.inputs)[0])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (
            lambda y: F.pad(y, (0, y.shape[3] // 2, 0, 0), mode="circular"),
            "circular padding by amounts that only the run knows",
        ),
        (
            nn.ConvTranspose2d(4, 2, 3, dilation=2, output_padding=1),
            r"output_padding=\(1, 1\) with a stride of \(1, 1\)",
        ),
    ],
)
def test_what_it_cannot_carry_is_refused(function: Callable[[Any], Tensor], reason: str) -> None:
    with pytest.raises(ExportError, match=f"ONNX cannot carry .*: {reason}"):
        to_onnx(program_of(function))


def test_channels_of_unknown_number_are_not_shuffled() -> None:
    grid = per_tensor(0.1, 3, UINT8)
    to = Builder()
    x = to.input("x", ("N", "C", 4, 4))
    q = to.emit(Quantize(), x, shape=x.shape, type=Quantized(grid))
    y = to.emit(ChannelShuffle(2), q, shape=x.shape, type=Quantized(grid))
    program = Program(to.done([to.emit(Dequantize(), y, shape=x.shape)]), {})
    with pytest.raises(ExportError, match="channels of which only the run knows the number"):
        to_onnx(program)
