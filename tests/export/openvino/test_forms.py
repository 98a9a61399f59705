"""Where the CPU plugin goes wrong by itself; the conformance suite runs every operator on it."""

import pytest
import torch

from tests.conformance.draft import Case, Draft
from tests.conformance.suite import compare
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.execute.openvino import OpenVino, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export.openvino.forms import FORMS
from zeropoint.graph.op import Op
from zeropoint.ops import OPS
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.dropout import Dropout
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AveragePool2d, MaxPool2d

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


def test_every_operator_has_a_form() -> None:
    assert set(OPS.values()) - {Opaque, Dropout} == {Linear, *FORMS}  # linear layers: rows.py


def check(case: Case) -> None:
    found = OpenVino(case.program).run(case.inputs)
    assert compare(case, found, Reference(case.program).run(case.inputs)).off == 0


def on_its_grid(op: Op, shape: tuple[int, ...], zero_point: int) -> Case:
    draft, grid = Draft(seed=0), per_tensor(0.0308, zero_point, UINT8)
    return draft.case(draft.emit(op, draft.activation(shape, grid), params=grid))


@pytest.mark.parametrize("zero_point", [0, 6])
def test_an_image_of_one_pixel_is_padded_with_zero(zero_point: int) -> None:
    check(on_its_grid(Pad((1, 0)), (5, 2, 1, 1), zero_point))


@pytest.mark.parametrize("zero_point", [0, 6])
def test_a_clamp_ends_on_its_bounds(zero_point: int) -> None:
    check(on_its_grid(Clamp(0.0, 0.579), (1, 4, 9, 9), zero_point))


@pytest.mark.parametrize("zero_point", [0, 6])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_an_average_counts_its_padding_as_zero(ceil_mode: bool, zero_point: int) -> None:
    op = AveragePool2d((2, 3), (1, 2), (1, 1), ceil_mode=ceil_mode)
    check(on_its_grid(op, (1, 2, 1, 4), zero_point))


def test_a_maximum_of_padding_is_the_lowest_code() -> None:
    op = MaxPool2d((1, 2), (1, 1), padding=(0, 1), dilation=(1, 2))
    check(on_its_grid(op, (1, 1, 1, 1), 0))


@pytest.mark.parametrize("zero_point", [0, 6])
@pytest.mark.parametrize(
    ("op", "image", "weight"),
    [
        (
            Conv2d(stride=(1, 2), padding=(3, 1), dilation=(1, 3), groups=3),
            (2, 6, 14, 1),
            (6, 2, 3, 1),
        ),
        (Conv2d(stride=(1, 2)), (5, 1, 2, 2), (16, 1, 1, 2)),
    ],
    ids=["a window of padding alone", "one channel, one column"],
)
def test_convolutions_that_onednn_gets_wrong_are_right(
    op: Conv2d, image: tuple[int, ...], weight: tuple[int, ...], zero_point: int
) -> None:
    draft = Draft(seed=0)
    x = draft.activation(image, per_tensor(0.02, zero_point, UINT8))
    check(draft.case(draft.layer(op, x, weight, None)))


@pytest.mark.parametrize("shape", [(3, 2000), (2, 4, 2000)])
@pytest.mark.parametrize("zero_point", [0, 77, 128, 255])
def test_a_linear_layer_is_exact_with_any_zero_point(
    zero_point: int, shape: tuple[int, ...]
) -> None:
    draft = Draft(seed=0)
    x = draft.activation(shape, per_tensor(0.02, zero_point, UINT8))
    case = draft.case(draft.layer(Linear(), x, (5, 2000), None))
    (found,) = OpenVino(case.program).run(case.inputs)
    (expected,) = Reference(case.program).run(case.inputs)
    torch.testing.assert_close(found, expected, rtol=2.0**-22, atol=0.0)
