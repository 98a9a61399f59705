from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.ops.spelled import assert_codes_move, captured, inputs
from zeropoint.graph.build import float_graph
from zeropoint.graph.rewrite import find
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.shape import Squeeze
from zeropoint.ops.slice import END, Slice, narrow, select, slice_

SPELLINGS: dict[str, tuple[Callable[[Any], Any], list[object]]] = {
    "[:, 1:5]": (lambda y: y[:, 1:5], [Slice(1, 1, 5)]),
    "[..., ::2]": (lambda y: y[..., ::2], [Slice(3, step=2)]),
    "[..., 1::2, :-1]": (lambda y: y[..., 1::2, :-1], [Slice(2, 1, step=2), Slice(3, 0, -1)]),
    "[:, :, -3:]": (lambda y: y[:, :, -3:], [Slice(2, -3)]),
    "[:, 2]": (lambda y: y[:, 2], [Slice(1, 2, 3), Squeeze((1,))]),
    "[:, -1]": (lambda y: y[:, -1], [Slice(1, -1), Squeeze((1,))]),
    "select": (lambda y: y.select(1, 3), [Slice(1, 3, 4), Squeeze((1,))]),
    "narrow": (lambda y: y.narrow(1, 2, 4), [Slice(1, 2, 6)]),
    "narrow, from the end": (lambda y: y.narrow(2, -2, 2), [Slice(2, -2)]),
    "split": (lambda y: y.split(4, 1), [Slice(1, 0, 4), Slice(1, 4)]),
    "split with a rest": (lambda y: y.split(5, 1), [Slice(1, 0, 5), Slice(1, 5)]),
    "split by sizes": (lambda y: y.split([2, 6], 1), [Slice(1, 0, 2), Slice(1, 2)]),
    "one piece of a split": (lambda y: y.split([2, 6], 1)[1], [Slice(1, 2)]),
    "chunk": (lambda y: y.chunk(2, 1), [Slice(1, 0, 4), Slice(1, 4)]),
    "chunk in one": (lambda y: y.chunk(1, 1), []),
    "tensor_split": (lambda y: y.tensor_split(2, 1), [Slice(1, 0, 4), Slice(1, 4)]),
    "tensor_split at": (lambda y: y.tensor_split((3,), 1), [Slice(1, 0, 3), Slice(1, 3)]),
    "hsplit": (lambda y: y.hsplit(2), [Slice(1, 0, 4), Slice(1, 4)]),
    "unbind": (lambda y: y.unbind(1)[7], [Slice(1, 7), Squeeze((1,))]),
}


@pytest.mark.parametrize(("function", "ops"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_slices(function: Callable[[Tensor], Any], ops: list[object]) -> None:
    assert assert_codes_move(function, inputs(6, 5), inputs(7, 8)) == ops


def test_unbinding_is_a_slice_for_each_entry() -> None:
    ops = assert_codes_move(lambda y: y.unbind(1), inputs(4, 4))
    assert sum(isinstance(op, Slice) for op in ops) == 8


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y[:, :, : y.shape[2] // 2],
        lambda y: y[:, :, y.shape[2] // 2 :, 1 : y.shape[3] - 1],
        lambda y: y.narrow(2, 1, y.shape[2] - 2),
        lambda y: y.narrow(3, y.shape[3] // 2, 2),
        lambda y: y.split([y.shape[2] - 3, 1, 2], 2)[1],
        lambda y: y.split(y.shape[2] // 2 + 1, 2)[1],
        lambda y: y.chunk(2, 3)[1],
    ],
)
def test_bounds_may_be_sizes_that_only_the_run_knows(function: Callable[[Tensor], Tensor]) -> None:
    assert_codes_move(function, inputs(6, 8), inputs(5, 7), inputs(9, 12))


def test_a_crop_to_another_image_is_a_slice_to_its_size() -> None:
    def crop(y: Tensor) -> Tensor:
        small = y[:, :, 1:-1, 1:-1]
        return y[:, :, : small.shape[2], : small.shape[3]]

    assert_codes_move(crop, inputs(6, 8), inputs(5, 7))


def test_a_slice_of_everything_is_gone() -> None:
    to, x = float_graph(("N", 8, "H", 5))
    assert slice_(to, x.shape, x, 0, None, END) is x
    assert slice_(to, x.shape, x, 1, 0, 8) is x
    assert slice_(to, x.shape, x, -1) is x
    assert not to.nodes


def test_an_index_that_only_the_run_knows_makes_an_island() -> None:
    to, x = float_graph(("N", 8, 5, 5))
    index = to.input("i", ())
    assert select(to, ("N", 5, 5), x, 1, index) == "its index is computed at run time"


def test_pieces_of_unknown_length_are_an_island() -> None:
    graph = captured(lambda y: torch.cat(y.tensor_split(2, 3)[::-1], 1), inputs(6, 8))
    ((_, island),) = find(graph, Opaque)
    assert island.reason == "only the run knows how long its pieces are"


def test_a_narrow_to_the_end_from_the_end_is_open() -> None:
    to, x = float_graph(("N", 8, "H", 5))
    narrow(to, ("N", 8, 3, 5), x, 2, -3, 3)
    narrow(to, ("N", 8, 2, 5), x, 2, -3, 2)
    assert [node.op for node in to.nodes] == [Slice(2, -3), Slice(2, -3, -1)]
