from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.ops.spelled import assert_codes_move, inputs
from zeropoint.graph.build import float_graph
from zeropoint.ops.expand import KEPT, Expand, Repeat, repeat, repeat_each

SPELLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "expand": lambda y: y[:, :1].expand(-1, 5, -1, -1),
    "expand to more dimensions": lambda y: y[:, :, :1].expand(3, -1, -1, 4, -1),
    "expand to a size": lambda y: y[:, :, :1, :1].expand(-1, -1, y.shape[2], y.shape[3]),
    "expand_as": lambda y: y[:, :, :1, :1].expand_as(y),
    "broadcast_to": lambda y: torch.broadcast_to(y[:, :1], y.shape),
    "repeat": lambda y: y.repeat(1, 2, 1, 3),
    "repeat to more dimensions": lambda y: y.repeat(2, 1, 1, 1, 2),
    "tile": lambda y: y.tile(2, 1),
    "repeat_interleave of channels": lambda y: y.repeat_interleave(2, 1),
    "repeat_interleave of columns": lambda y: y.repeat_interleave(3, dim=-1),
}


@pytest.mark.parametrize("function", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_copies_codes(function: Callable[[Tensor], Tensor]) -> None:
    assert_codes_move(function, inputs(4, 5), inputs(6, 3))


def test_what_is_kept_is_kept_and_what_is_computed_is_an_operand() -> None:
    _, _, op = assert_codes_move(SPELLINGS["expand_as"], inputs(4, 5))
    assert op == Expand((KEPT, KEPT, None, None))
    assert op.run(torch.ones(2, 3, 1, 1), 4, 5).shape == (2, 3, 4, 5)


def test_what_repeats_nothing_is_gone() -> None:
    assert assert_codes_move(lambda y: y.expand(-1, 8, -1, -1), inputs(4, 5)) == []
    assert assert_codes_move(lambda y: y.expand_as(y), inputs(4, 5)) == []
    assert assert_codes_move(lambda y: y.repeat(1, 1, 1, 1), inputs(4, 5)) == []


def test_repetitions_that_only_the_run_knows_make_an_island() -> None:
    to, x = float_graph(("N", 3, 4, 4))
    size = to.input("n", ())
    assert repeat(to, x.shape, x, [1, size]) == (  # type: ignore[list-item]  # what torch.export may hand
        "how often it is repeated is computed at run time"
    )
    assert repeat_each(to, x.shape, x, 2) == (
        "it repeats all dimensions as one, or as often as only the run knows"
    )
    assert Repeat((2, 1)).run(torch.ones(1, 3)).shape == (2, 3)
