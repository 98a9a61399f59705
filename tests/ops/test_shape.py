from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.ops.spelled import assert_codes_move, inputs
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.op import Grid, IntegerOp, Op, Role, Signature
from zeropoint.graph.value import UNKNOWN, Shape, Size, Value
from zeropoint.ops.permute import Permute
from zeropoint.ops.shape import (
    COMPUTED,
    INFER,
    KEEP,
    Flatten,
    Reshape,
    SizeArithmetic,
    SizeOf,
    Squeeze,
    Unsqueeze,
    flatten,
    reshape,
    size_of,
)
from zeropoint.ops.slice import Slice

GRID = per_tensor(0.1, 7, UINT8)
IMAGE = torch.arange(120, dtype=torch.uint8).reshape(2, 3, 4, 5)


def integer_form(op: IntegerOp, *inputs: torch.Tensor) -> torch.Tensor:
    return op.run_integer(inputs, Signature((GRID,), GRID), Float32())


# --- what they compute ---------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_flattening_keeps_the_order_whatever_the_memory(start: int) -> None:
    expected = IMAGE.flatten(start)
    assert torch.equal(integer_form(Flatten(start), IMAGE), expected)
    last = IMAGE.contiguous(memory_format=torch.channels_last)
    assert torch.equal(integer_form(Flatten(start), last), expected)
    assert torch.equal(Flatten(start).run(IMAGE.float()), expected.float())


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((KEEP, INFER), (2, 60)),
        ((KEEP, 5, 4, 3), (2, 5, 4, 3)),
        ((KEEP, KEEP, 20), (2, 3, 20)),
        ((INFER, 10), (12, 10)),
    ],
)
def test_a_reshape_has_a_number_a_kept_size_or_what_is_left(
    shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    y = integer_form(Reshape(shape), IMAGE)
    assert torch.equal(y, IMAGE.reshape(expected))


def test_a_reshape_takes_the_sizes_that_are_computed_in_their_order() -> None:
    assert Reshape((COMPUTED, 3, COMPUTED)).run(IMAGE, 2, 20).shape == (2, 3, 20)


def test_sizes_are_python_numbers() -> None:
    assert SizeOf(2).run(IMAGE) == 4
    assert SizeArithmetic("mul", (None, None)).run(4, 5) == 20
    assert SizeArithmetic("sub", (10, None)).run(4) == 6
    assert SizeArithmetic("sub", (None, 10)).run(4) == -6
    assert SizeArithmetic("floordiv", (None, 2)).run(7) == 3
    assert SizeArithmetic("sym_max", (None, 2)).run(7) == 7
    assert SizeArithmetic("neg", (None,)).run(7) == -7


def test_integers_move_and_keep_their_grid() -> None:
    assert Flatten.grid is Reshape.grid is Grid.SHARED
    assert Flatten().roles(1) == (Role.ACTIVATION,)
    assert Reshape((COMPUTED, COMPUTED)).roles(3) == (Role.ACTIVATION, Role.SIZE, Role.SIZE)


def test_a_dimension_of_one_comes_and_goes() -> None:
    assert integer_form(Unsqueeze(2), IMAGE).shape == (2, 3, 1, 4, 5)
    assert integer_form(Squeeze((1, 3)), IMAGE[:, :1, :, :1]).shape == (2, 4)
    assert torch.equal(integer_form(Squeeze((1,)), IMAGE[:, :1]), IMAGE[:, 0])


def test_a_size_may_be_a_float_on_its_way() -> None:
    steps = [("sym_float", (None,)), ("mul", (None, 1.5)), ("trunc", (None,))]
    size: float = 7
    for function, numbers in steps:
        size = SizeArithmetic(function, numbers).run(size)
    assert size == 10
    assert isinstance(size, int)


# --- capture -------------------------------------------------------------------------------------

SPELLINGS: dict[str, tuple[Callable[[Any], Tensor], list[object]]] = {
    "flatten": (lambda y: y.flatten(1), [Flatten(1)]),
    "Flatten": (nn.Flatten(2), [Flatten(2)]),
    "ravel": (lambda y: y.ravel(), [Flatten(0)]),
    "view": (lambda y: y.view(y.shape[0], -1), [Flatten(1)]),
    "reshape": (
        lambda y: y.reshape(y.size(0), 2, 4, *y.shape[2:]),
        [Reshape((KEEP, 2, 4, COMPUTED, COMPUTED))],
    ),
    "unflatten": (
        lambda y: y.unflatten(1, (2, -1)),
        [Reshape((KEEP, 2, INFER, COMPUTED, COMPUTED))],
    ),
    "view_as": (lambda y: y.view_as(y), []),
    "reshape_as": (
        lambda y: y.transpose(2, 3).reshape_as(y),
        [Permute((0, 1, 3, 2)), Reshape((KEEP, KEEP, COMPUTED, COMPUTED))],
    ),
    "reshape_as, back": (lambda y: y.unsqueeze(1).reshape_as(y), []),
    "unsqueeze": (lambda y: y.unsqueeze(-1), [Unsqueeze(4)]),
    "None": (lambda y: y[:, None], [Unsqueeze(1)]),
    "squeeze": (lambda y: y[:, :1].squeeze(), [Slice(1, 0, 1), Squeeze((1,))]),
    "squeeze of one": (lambda y: y[:, :1].squeeze(1), [Slice(1, 0, 1), Squeeze((1,))]),
    "squeeze of several": (lambda y: y[:, :1].squeeze((1, 2)), [Slice(1, 0, 1), Squeeze((1,))]),
    "squeeze of nothing": (lambda y: y.squeeze(1), []),
}


@pytest.mark.filterwarnings("ignore:of a single sample:UserWarning")
@pytest.mark.parametrize(("function", "ops"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_moves_codes(
    function: Callable[[Tensor], Tensor], ops: list[object]
) -> None:
    assert assert_codes_move(function, inputs(4, 5), inputs(6, 3)) == ops


def reshaped(x: Shape, wanted: tuple[int, ...], shape: Shape) -> Op | None:
    """The operator that a reshape becomes; None if nothing is left of it."""
    to, value = float_graph(x)
    result = reshape(to, shape, value, wanted)
    if result is value:
        return None
    (node,) = to.nodes
    return node.op


def test_a_reshape_to_rows_is_a_flatten() -> None:
    assert reshaped(("N", 3, 4, 5), (-1, 60), ("N", 60)) == Flatten(1)
    assert reshaped((2, 3, 4, 5), (2, -1), (2, 60)) == Flatten(1)
    assert reshaped((2, 3, 4, 5), (2, 60), (2, 60)) == Flatten(1)
    assert reshaped((2, 3, 4, 5), (2, 3, 20), (2, 3, 20)) == Flatten(2)


def test_a_reshape_that_changes_nothing_is_gone() -> None:
    assert reshaped((2, 3, 4), (2, 3, 4), (2, 3, 4)) is None
    assert reshaped((2, 3, 4), (2, -1, 4), (2, 3, 4)) is None


def test_any_other_reshape_is_one() -> None:
    assert reshaped((2, 6, 5), (2, 2, 3, 5), (2, 2, 3, 5)) == Reshape((KEEP, 2, 3, 5))


def test_a_size_of_the_operand_itself_is_kept_and_another_is_an_operand() -> None:
    to, x = float_graph(("N", 3, "H", "W"))
    batch, height = size_of(to, (), x, 0), size_of(to, (), x, -2)
    assert to.values[height.name].type == Size()
    assert height.shape == ("H",)
    reshape(to, ("N", "H", UNKNOWN), x, [batch, height, -1])
    node = to.nodes[-1]
    assert node.op == Reshape((KEEP, COMPUTED, INFER))
    assert node.inputs == ("x", height.name)


def test_the_batch_and_all_the_rest_is_a_flatten() -> None:
    to, x = float_graph(("N", 3, 4, 5))
    batch = size_of(to, (), x, 0)
    reshape(to, ("N", 60), x, [batch, -1])
    assert to.nodes[-1].op == Flatten(1)
    assert to.nodes[-1].inputs == ("x",)


def captured_flatten(
    shape: Shape, result: Shape, *bounds: int
) -> tuple[Builder, Value | str, Value]:
    to, x = float_graph(shape)
    return to, flatten(to, result, x, *bounds), x


def test_a_flatten_to_the_end_is_one() -> None:
    to, _, _ = captured_flatten(("N", 3, 4, 5), ("N", 60), 1)
    assert to.nodes[-1].op == Flatten(1)
    to, _, _ = captured_flatten(("N", 3, 4, 5), ("N", 3, 20), -2)
    assert to.nodes[-1].op == Flatten(2)


def test_a_flatten_of_nothing_is_gone() -> None:
    to, result, x = captured_flatten(("N", 60), ("N", 60), 1)
    assert result is x
    assert not to.nodes


@pytest.mark.parametrize(("start", "end"), [(1, 2), (0, 1), (0, -2), (-3, -2)])
def test_a_flatten_in_the_middle_works_for_any_size_of_image(start: int, end: int) -> None:
    to, _, _ = captured_flatten(("N", 3, "H", "W"), ("?", "?", "?"), start, end)
    op = to.nodes[-1].op
    assert op == Flatten(start % 4, end % 4)
    assert torch.equal(op.run(IMAGE), IMAGE.flatten(start, end))


def test_a_flatten_of_a_number_is_a_row_of_it() -> None:
    to, _, _ = captured_flatten((), (1,), 0)
    assert to.nodes[-1].op.run(torch.tensor(3.0)).tolist() == [3.0]
