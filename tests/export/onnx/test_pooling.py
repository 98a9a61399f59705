"""Beyond the conformance suite, whose images have known sizes: images of any size."""

import pytest
import torch
from torch import nn

from tests.conformance.draft import Case
from tests.export.onnx.runtime import run_model
from tests.nets import images, lowered, seeded
from zeropoint.capture import capture
from zeropoint.errors import ExportError
from zeropoint.execute.onnxruntime import why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export.onnx import to_onnx
from zeropoint.passes import simplify

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


def case_of(pool: nn.Module, size: int) -> Case:
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), pool, nn.Conv2d(4, 2, 1)))
    program = lowered(simplify(capture(model, (images(),))), images())
    assert program.graph.values[program.graph.inputs[0]].shape == ("N", 3, "H", "W")
    return Case(program, (images(2, size=size),))


@pytest.mark.parametrize("size", [8, 9, 13])
@pytest.mark.parametrize(
    "pool",
    [
        nn.AdaptiveAvgPool2d(3),
        nn.AdaptiveMaxPool2d(3),
        nn.AdaptiveMaxPool2d((1, 4)),
        nn.AdaptiveAvgPool2d((5, 2)),
        nn.AvgPool2d(3, 2, 1),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MaxPool2d(3, 2, 1),
    ],
    ids=str,
)
def test_windows_follow_the_size_of_the_image(pool: nn.Module, size: int) -> None:
    case = case_of(pool, size)
    (found,) = run_model(to_onnx(case.program), case)
    torch.testing.assert_close(found, Reference(case.program).run(case.inputs)[0])


def test_padded_averages_that_reach_beyond_an_unknown_image_are_refused() -> None:
    case = case_of(nn.AvgPool2d(3, 2, 1, ceil_mode=True), 8)
    with pytest.raises(ExportError, match="1: average pooling with ceil_mode and padding"):
        to_onnx(case.program)
