from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.ops.spelled import assert_codes_move, inputs
from zeropoint.graph.build import float_graph
from zeropoint.graph.value import Plain
from zeropoint.ops.order import Flip, Roll, Take, index, index_select, roll, rotate
from zeropoint.ops.permute import Permute

SPELLINGS: dict[str, tuple[Callable[[Tensor], Tensor], list[object]]] = {
    "a list": (lambda y: y[:, [2, 0, 1]], [Take(1, (2, 0, 1))]),
    "from the end": (lambda y: y[:, [-1, 0]], [Take(1, (7, 0))]),
    "a tensor": (lambda y: y[:, torch.tensor([5, 5])], [Take(1, (5, 5))]),
    "a mask": (lambda y: y[:, torch.tensor([True, False] * 4)], [Take(1, (0, 2, 4, 6))]),
    "index_select": (lambda y: y.index_select(1, torch.tensor([3, 1])), [Take(1, (3, 1))]),
    "flip": (lambda y: y.flip((2, -1)), [Flip((2, 3))]),
    "fliplr": (lambda y: y.fliplr(), [Flip((1,))]),
    "flipud": (lambda y: y.flipud(), [Flip((0,))]),
    "roll": (lambda y: y.roll((1, -2), (2, 3)), [Roll((1, -2), (2, 3))]),
    "roll by one": (lambda y: y.roll(3, -1), [Roll((3,), (3,))]),
    "a quarter turn": (lambda y: y.rot90(1, (2, 3)), [Permute((0, 1, 3, 2)), Flip((2,))]),
    "a half turn": (lambda y: y.rot90(2, (2, 3)), [Flip((2, 3))]),
    "three quarters": (lambda y: y.rot90(-1, (2, 3)), [Permute((0, 1, 3, 2)), Flip((3,))]),
}


@pytest.mark.parametrize(("function", "ops"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_moves_codes(
    function: Callable[[Tensor], Tensor], ops: list[object]
) -> None:
    assert assert_codes_move(function, inputs(4, 5), inputs(6, 3)) == ops


def test_indices_of_any_shape_are_a_list_and_another_shape() -> None:
    indices = torch.tensor([[0, 3], [2, 2], [7, 1]])
    first, *_ = assert_codes_move(lambda y: y[:, indices], inputs(4, 5), inputs(6, 3))
    assert first == Take(1, (0, 3, 2, 2, 7, 1))


def test_a_whole_turn_is_gone() -> None:
    to, x = float_graph(("N", 3, 4, 4))
    assert rotate(to, x.shape, x, 4, (2, 3)) is x


def test_what_cannot_be_moved_says_why() -> None:
    to, x = float_graph(("N", 3, "H", 4))
    shape = x.shape
    computed = to.input("i", (2,), Plain(torch.int64))
    constant = to.constant("c", torch.tensor([-1, 0]))
    mask = to.constant("m", torch.ones(3, 4, dtype=torch.bool))
    at_run_time = "its indices are computed at run time"
    assert index_select(to, shape, x, 1, computed) == at_run_time
    assert index(to, shape, x, [None, computed]) == at_run_time
    assert index(to, shape, x, [None, constant, constant]) == (
        "it is indexed along several dimensions at once"
    )
    assert index(to, shape, x, [None, None, mask]) == (
        "it is indexed by a mask over several dimensions"
    )
    assert index(to, shape, x, [None, None, constant]) == (
        "its indices count from an end that only the run knows"
    )
    assert roll(to, shape, x, 1) == "it rolls all dimensions as one"
    assert roll(to, shape, x, [computed], [2]) == "its shifts are computed at run time"  # type: ignore[list-item]  # what torch.export may hand
