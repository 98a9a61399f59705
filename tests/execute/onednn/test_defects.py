"""Convolutions that oneDNN gets wrong, computed right all the same."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.draft import Draft, Fill, Sample
from tests.conformance.suite import compare
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.execute.onednn import OneDnn, why_unusable
from zeropoint.execute.onednn.defects import has_fast_deconvolution
from zeropoint.execute.reference import Reference
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.conv_transpose import ConvTranspose2d
from zeropoint.ops.onednn_defects import may_miscount, may_see_only_padding

usable = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


def check(op: Conv2d, image: tuple[int, ...], weight: tuple[int, ...], *, addend: bool) -> None:
    """Both ways to the kernels are right for uint8 and float32 results, call after call."""
    draft = Draft(seed=0, sample=Sample.ALIKE)
    x = draft.activation(image, per_tensor(0.02, 128, UINT8))
    wide = draft.layer(op, x, weight, None)
    grid = per_tensor(0.02 * float(draft.real[wide.name].abs().max()) + 0.001, 100, UINT8)
    added = [draft.activation(tuple(draft.real[wide.name].shape), grid)] if addend else []
    low = replace(op, low=-1.0)
    case = draft.case(wide, draft.layer(low, x, weight, grid, *added))
    expected = Reference(case.program).run(case.inputs)
    for executor in (OneDnn(case.program), OneDnn(case.program, direct=False)):
        for _ in range(5):
            assert compare(case, executor.run(case.inputs), expected).worst <= 1


@pytest.mark.parametrize("addend", [False, True])
@pytest.mark.parametrize(
    ("op", "image", "weight"),
    [
        # No window meets the image's width: a segmentation fault.
        (
            Conv2d(stride=(1, 2), padding=(2, 3), dilation=(2, 2)),
            (2, 1, 1, 1),
            (7, 1, 3, 2),
        ),
        (Conv2d(stride=(1, 3), padding=(0, 1), dilation=(1, 3)), (1, 8, 3, 2), (4, 8, 2, 1)),
        # Some windows see padding only: sums of memory that nobody wrote.
        (Conv2d(padding=(2, 2)), (1, 1, 1, 1), (7, 1, 2, 1)),
        (Conv2d(stride=(2, 2), padding=(3, 3)), (5, 1, 9, 6), (7, 1, 2, 1)),
        (Conv2d(padding=(2, 3), groups=16), (2, 16, 1, 9), (48, 1, 2, 4)),
        # An even window with dilation around one pixel.
        (Conv2d(padding=(1, 1), dilation=(2, 2), groups=8), (2, 16, 9, 1), (8, 2, 2, 2)),
    ],
)
@usable
def test_windows_that_see_only_padding_are_right(
    op: Conv2d, image: tuple[int, ...], weight: tuple[int, ...], addend: bool
) -> None:
    assert may_see_only_padding(op, weight[2:])
    check(op, image, weight, addend=addend)


@pytest.mark.parametrize("addend", [False, True])
@pytest.mark.parametrize(
    ("op", "image", "weight"),
    [
        (Conv2d(stride=(1, 2), groups=3), (1, 3, 5, 3), (6, 1, 4, 3)),
        (Conv2d(stride=(1, 3), padding=(0, 1), groups=8), (2, 8, 3, 1), (16, 1, 1, 2)),
        (Conv2d(stride=(1, 2), dilation=(2, 1), groups=8), (2, 8, 9, 4), (16, 1, 4, 4)),
        (Conv2d(stride=(1, 2), padding=(0, 3), groups=2), (2, 2, 9, 1), (4, 1, 2, 2)),  # both
    ],
)
@usable
def test_groups_with_several_outputs_and_one_column_are_right(
    op: Conv2d, image: tuple[int, ...], weight: tuple[int, ...], addend: bool
) -> None:
    assert may_miscount(op, weight)
    check(op, image, weight, addend=addend)
    check(op, (*image[:3], image[3] + 9), weight, addend=addend)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2, 12])
def test_ordinary_convolutions_are_left_as_they_are(
    kernel: int, stride: int, dilation: int
) -> None:
    same = dilation * (kernel - 1) // 2
    for padding in (0, same):
        op = Conv2d((stride, stride), (padding, padding), (dilation, dilation))
        assert not may_see_only_padding(op, (kernel, kernel))
        assert not may_miscount(replace(op, groups=4), (8, 1, kernel, kernel))


@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    padding=st.integers(0, 5),
    dilation=st.integers(1, 4),
    length=st.integers(1, 12),
)
def test_a_window_that_sees_only_padding_is_always_foreseen(
    kernel: int, stride: int, padding: int, dilation: int, length: int
) -> None:
    op = Conv2d((1, stride), (0, padding), (1, dilation))
    if length + 2 * padding < dilation * (kernel - 1) + 1:
        return  # no window at all: torch refuses
    pixels = op.run(torch.ones(1, 1, 1, length), torch.ones(1, 1, 1, kernel), torch.zeros(1))
    assert bool((pixels > 0).all()) or may_see_only_padding(op, (1, kernel))


@usable
def test_what_is_padded_beforehand_stands_for_zero() -> None:
    draft = Draft(seed=0)
    x = draft.activation((1, 2, 1, 1), per_tensor(0.1, 200, UINT8), Fill.ZERO)
    case = draft.case(draft.layer(Conv2d(padding=(3, 3)), x, (4, 2, 2, 2), None))
    (found,) = OneDnn(case.program).run(case.inputs)
    bias = draft.real["bias"].float().reshape(4, 1, 1)
    torch.testing.assert_close(found, bias.expand_as(found))


@pytest.mark.parametrize(
    ("op", "kernel"),
    [
        (ConvTranspose2d((3, 3)), (2, 3)),  # gaps between the windows
        (ConvTranspose2d((2, 2), output_padding=(1, 0)), (3, 3)),  # beyond the last window
        (ConvTranspose2d((2, 2), groups=2), (2, 2)),
        (ConvTranspose2d((2, 2), dilation=(1, 2)), (2, 2)),
    ],
)
def test_deconvolutions_that_leave_results_without_pixels_are_foreseen(
    op: ConvTranspose2d, kernel: tuple[int, int]
) -> None:
    assert not has_fast_deconvolution(op, kernel)


def test_the_usual_deconvolutions_are_fast() -> None:
    for kernel, stride, padding, more in ((2, 2, 0, 0), (3, 2, 1, 1), (4, 2, 1, 0), (5, 1, 2, 0)):
        op = ConvTranspose2d((stride, stride), (padding, padding), output_padding=(more, more))
        assert has_fast_deconvolution(op, (kernel, kernel))


@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    padding=st.integers(0, 3),
    more=st.integers(0, 3),
    length=st.integers(1, 6),
)
def test_a_result_that_sees_no_pixel_is_always_foreseen(
    kernel: int, stride: int, padding: int, more: int, length: int
) -> None:
    op = ConvTranspose2d((1, stride), (0, padding), output_padding=(0, more))
    if more >= stride or (length - 1) * stride + kernel + more <= 2 * padding:
        return  # torch refuses
    pixels = op.run(torch.ones(1, 1, 1, length), torch.ones(1, 1, 1, kernel), torch.zeros(1))
    assert bool((pixels > 0).all()) or not has_fast_deconvolution(op, (1, kernel))
