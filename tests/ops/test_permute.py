from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.ops.spelled import assert_codes_move, inputs
from zeropoint.ops.permute import Permute

SPELLINGS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "permute": (lambda y: y.permute(0, 2, 3, 1), (0, 2, 3, 1)),
    "permute, from the end": (lambda y: y.permute(0, -2, -1, 1), (0, 2, 3, 1)),
    "transpose": (lambda y: y.transpose(1, -1), (0, 3, 2, 1)),
    "swapaxes": (lambda y: y.swapaxes(1, 2), (0, 2, 1, 3)),
    "swapdims": (lambda y: y.swapdims(1, 2), (0, 2, 1, 3)),
    "mT": (lambda y: y.mT, (0, 1, 3, 2)),
    "mH": (lambda y: y.mH, (0, 1, 3, 2)),
    "adjoint": (lambda y: y.adjoint(), (0, 1, 3, 2)),
    "movedim": (lambda y: y.movedim(1, -1), (0, 2, 3, 1)),
    "movedim of several": (lambda y: y.movedim((1, 2), (3, 1)), (0, 2, 3, 1)),
    "moveaxis": (lambda y: torch.moveaxis(y, 3, 1), (0, 3, 1, 2)),
    "einsum-like": (lambda y: torch.permute(y, (1, 0, 3, 2)), (1, 0, 3, 2)),
}


@pytest.mark.parametrize(("function", "order"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_the_same_operator(
    function: Callable[[Tensor], Tensor], order: tuple[int, ...]
) -> None:
    assert assert_codes_move(function, inputs(4, 5), inputs(3, 6)) == [Permute(order)]


@pytest.mark.parametrize("function", [lambda y: y.flatten(1).T, lambda y: y.flatten(1).t()])
def test_a_matrix_is_transposed(function: Callable[[Tensor], Tensor]) -> None:
    assert assert_codes_move(function, inputs(4, 5))[-1] == Permute((1, 0))


def test_an_order_that_changes_nothing_is_gone() -> None:
    assert assert_codes_move(lambda y: y.permute(0, 1, 2, 3), inputs(4, 5)) == []
