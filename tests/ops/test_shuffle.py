from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.ops.spelled import assert_codes_move, inputs
from zeropoint.graph.build import float_graph
from zeropoint.ops.pad import Pad
from zeropoint.ops.shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle, Unfold, im2col


def spelled_out(y: Tensor) -> Tensor:
    batch, channels, height, width = y.shape
    apart = y.view(batch, 2, channels // 2, height, width)
    return torch.transpose(apart, 1, 2).contiguous().view(batch, -1, height, width)


SPELLINGS: dict[str, tuple[Callable[[Tensor], Tensor], object]] = {
    "channel_shuffle": (lambda y: F.channel_shuffle(y, 4), ChannelShuffle(4)),
    "ChannelShuffle": (nn.ChannelShuffle(2), ChannelShuffle(2)),
    "spelled out": (spelled_out, ChannelShuffle(2)),
    "pixel_shuffle": (lambda y: F.pixel_shuffle(y, 2), PixelShuffle(2)),
    "PixelShuffle": (nn.PixelShuffle(2), PixelShuffle(2)),
    "pixel_unshuffle": (lambda y: F.pixel_unshuffle(y, 2), PixelUnshuffle(2)),
    "unfold": (lambda y: F.unfold(y, 3), Unfold((3, 3))),
    "strided unfold": (
        lambda y: F.unfold(y, (2, 3), dilation=(2, 1), stride=(1, 2)),
        Unfold((2, 3), (1, 2), (2, 1)),
    ),
}


@pytest.mark.parametrize(("function", "op"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_moves_codes(function: Callable[[Tensor], Tensor], op: object) -> None:
    assert assert_codes_move(function, inputs(6, 8), inputs(4, 6)) == [op]


def test_an_unfold_with_padding_pads_first() -> None:
    ops = assert_codes_move(lambda y: F.unfold(y, 3, padding=(1, 2)), inputs(4, 5), inputs(6, 7))
    assert ops == [Pad((2, 2, 1, 1)), Unfold((3, 3))]


def test_an_unfold_without_a_batch_is_an_island() -> None:
    to, x = float_graph((3, 8, 8))
    assert im2col(to, x.shape, x, [3, 3], [1, 1], [0, 0], [1, 1]) == (
        "its input has no batch dimension"
    )


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_unfolding_is_torch_s(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> None:
    x = torch.arange(2 * 3 * 7 * 6.0).reshape(2, 3, 7, 6)
    expected = F.unfold(x, kernel, dilation, 0, stride)
    assert torch.equal(Unfold(kernel, stride, dilation).run(x), expected)
