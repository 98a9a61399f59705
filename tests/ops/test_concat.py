from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.ops.spelled import assert_close, assert_codes_move, inputs
from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.value import Plain
from zeropoint.ops.concat import Concat, concat, horizontal_stack, vertical_stack

FINE = per_tensor(0.1, 0, UINT8)
COARSE = per_tensor(0.4, 50, UINT8)


def joined(parts: list[list[int]], grids: list[QParams], out: QParams) -> list[int]:
    operands = [torch.tensor([q], dtype=torch.uint8) for q in parts]
    y = Concat(1).run_integer(operands, Signature(tuple(grids), out), Float32())
    assert y.dtype == torch.uint8
    return [int(code) for code in y[0]]


def test_parts_on_the_result_s_grid_are_copied() -> None:
    assert joined([[1, 255], [7]], [FINE, FINE], FINE) == [1, 255, 7]


def test_parts_on_another_grid_are_moved_and_rounded() -> None:
    assert joined([[40, 43], [50, 51]], [FINE, COARSE], COARSE) == [60, 61, 50, 51]


def test_parts_that_do_not_fit_the_grid_saturate() -> None:
    assert joined([[0], [255]], [COARSE, COARSE], FINE) == [0, 255]


def test_a_part_of_another_width_is_moved_even_at_the_same_scale() -> None:
    narrow = per_tensor(0.1, 0, IntegerType(4, signed=False))
    assert joined([[3, 200], [9]], [FINE, narrow], narrow) == [3, 15, 9]


def test_any_axis_will_do() -> None:
    a, b = torch.zeros(1, 2, 3, 4, dtype=torch.uint8), torch.ones(1, 2, 5, 4, dtype=torch.uint8)
    y = Concat(2).run_integer((a, b), Signature((FINE, FINE), FINE), Float32())
    assert torch.equal(y, torch.cat([a, b], 2))


def test_the_float_form_is_torch_s_cat() -> None:
    a, b = torch.rand(2, 3), torch.rand(2, 1)
    assert torch.equal(Concat(1).run(a, b), torch.cat([a, b], 1))


def test_it_reads_activations_and_has_a_grid_of_its_own() -> None:
    assert Concat(1).roles(3) == (Role.ACTIVATION,) * 3
    assert Concat.grid is Grid.OWN


def test_an_axis_from_the_end_is_counted_from_the_beginning() -> None:
    to, x = float_graph(("N", 3, 4, 4))
    concat(to, ("N", 6, 4, 4), [x, x], -3)
    assert to.nodes[-1].op == Concat(1)


def test_a_concatenation_that_has_no_integer_form_says_why() -> None:
    to, x = float_graph(("N", 3))
    index = to.input("i", ("N", 3), Plain(torch.int64))
    assert concat(to, x.shape, [x, index]) == "it concatenates integers"
    number, row = to.input("n", ()), to.input("r", (3,))
    assert horizontal_stack(to, (2,), [number, number]) == "it stacks numbers"
    assert vertical_stack(to, (2, 3), [row, row]) == "it stacks vectors"


def test_a_concatenation_of_one_is_that_one() -> None:
    to, x = float_graph(("N", 3))
    assert concat(to, x.shape, [x]) is x


SPELLINGS: dict[str, tuple[Callable[[Tensor], Tensor], object]] = {
    "cat": (lambda y: torch.cat([y, y], -1), Concat(3)),
    "concat": (lambda y: torch.concat([y, y], 1), Concat(1)),
    "concatenate": (lambda y: torch.concatenate([y, y], 2), Concat(2)),
    "hstack": (lambda y: torch.hstack([y, y]), Concat(1)),
    "vstack": (lambda y: torch.vstack([y, y]), Concat(0)),
    "stack": (lambda y: torch.stack([y, y, y], 2), Concat(2)),
    "stack behind": (lambda y: torch.stack([y, y], -1), Concat(4)),
}


@pytest.mark.parametrize(("function", "op"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_joins_codes(function: Callable[[Tensor], Tensor], op: object) -> None:
    assert assert_codes_move(function, inputs(4, 5), inputs(6, 3))[-1] == op


def test_a_constant_part_is_on_the_grid_of_the_result() -> None:
    # Coordinates beside an image, as CoordConv has them.
    rows = torch.linspace(-1, 1, 20).reshape(1, 1, 4, 5)

    def function(y: Tensor) -> Tensor:
        return torch.cat([y, rows.expand(y.shape[0], -1, -1, -1)], 1)

    ops = assert_close(function, inputs(4, 5))
    assert [op.name for op in ops] == ["expand", "concat"]
