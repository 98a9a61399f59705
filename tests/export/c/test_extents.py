from itertools import zip_longest

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.export.c.extents import broadcast_strides, merged_padding


@st.composite
def broadcasting(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    a, b = ([size if draw(st.booleans()) else 1 for size in shape] for _ in range(2))
    return tuple(a), tuple(b[draw(st.integers(0, len(b) - 1)) :])


@given(broadcasting())
def test_strides_walk_over_both_operands_as_torch_does(
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    tensors = [torch.arange(torch.Size(shape).numel()).reshape(shape) for shape in shapes]
    extents, strides = broadcast_strides(*shapes)
    whole = torch.Size(max(pair) for pair in zip_longest(*(s[::-1] for s in shapes), fillvalue=1))
    for tensor, stride in zip(tensors, strides, strict=True):
        expected = tensor.expand(whole[::-1])
        assert torch.equal(tensor.as_strided(extents, stride).flatten(), expected.flatten())


def test_what_behaves_alike_is_one_loop() -> None:
    extents, strides = broadcast_strides((2, 3, 4, 5), (2, 3, 4, 5))
    assert extents == (1, 1, 1, 120)
    assert [stride[-1] for stride in strides] == [1, 1]


def test_operands_that_are_repeated_in_turns_take_too_many_loops() -> None:
    with pytest.raises(ValueError, match="takes 5 loops; C has 4"):
        broadcast_strides((2, 1, 2, 1, 2), (1, 2, 1, 2, 1))


@given(st.lists(st.integers(1, 4), min_size=4, max_size=4), st.data())
def test_padding_walks_as_torch_does(shape: list[int], data: st.DataObject) -> None:
    count = data.draw(st.sampled_from([2, 4, 6]))
    amounts = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    inside, outside, before = merged_padding(shape, amounts)
    x = torch.arange(torch.Size(shape).numel()).reshape(shape)
    ours = torch.full(outside, -1)
    ours[tuple(slice(b, b + n) for b, n in zip(before, inside, strict=True))] = x.reshape(inside)
    assert torch.equal(ours.flatten(), F.pad(x, amounts, value=-1).flatten())
