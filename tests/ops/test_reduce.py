from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.ops.spelled import assert_close, assert_codes_move, captured, inputs
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.rewrite import find
from zeropoint.graph.value import Plain
from zeropoint.ops.add import Add
from zeropoint.ops.concat import Concat
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pool import GlobalAveragePool
from zeropoint.ops.reduce import Amax, Mean, Sum, sum_

POOLS: dict[str, tuple[Callable[[Tensor], Tensor], object]] = {
    "mean": (lambda y: y.mean((2, 3)), GlobalAveragePool(keep=False)),
    "mean, kept": (lambda y: y.mean([-1, -2], keepdim=True), GlobalAveragePool()),
    "mean of mean": (lambda y: y.mean(3).mean(2), GlobalAveragePool(keep=False)),
    "mean of mean, kept": (lambda y: y.mean(2, True).mean(3, True), GlobalAveragePool()),
    "mean of all pixels": (lambda y: y.flatten(2).mean(2), GlobalAveragePool(keep=False)),
    "mean of a view": (
        lambda y: y.view(y.shape[0], y.shape[1], -1).mean(-1),
        GlobalAveragePool(keep=False),
    ),
    "adaptive": (lambda y: F.adaptive_avg_pool2d(y, 1), GlobalAveragePool()),
    "a window as large as the image": (
        lambda y: F.avg_pool2d(y, y.shape[2:]),
        GlobalAveragePool(),
    ),
    "mean of channels": (lambda y: y.mean(1, keepdim=True), Mean((1,), keep=True)),
    "mean of rows": (lambda y: y.mean(2), Mean((2,))),
}


@pytest.mark.parametrize(("function", "op"), POOLS.values(), ids=POOLS)
def test_a_global_pool_is_one_operator_however_it_is_spelled(
    function: Callable[[Tensor], Tensor], op: object
) -> None:
    assert assert_close(function, inputs(6, 8)) == [op]


def test_a_window_of_numbers_that_covers_the_image_is_a_global_pool_of_that_size() -> None:
    with pytest.warns(
        UserWarning, match="fixes the height and the width of its input 'x' to 6 x 8"
    ):
        ops = assert_close(lambda y: F.avg_pool2d(y, (6, 8)), inputs(6, 8))
    assert ops == [GlobalAveragePool()]


@pytest.mark.parametrize(
    ("function", "sizes", "op"),
    [
        (lambda y: F.adaptive_avg_pool1d(y, 1), (9,), Mean((2,), keep=True)),
        (lambda y: F.avg_pool1d(y, y.shape[2]), (9,), Mean((2,), keep=True)),
        (lambda y: F.avg_pool3d(y, y.shape[2:]), (3, 4, 5), Mean((2, 3, 4), keep=True)),
        (lambda y: y.mean(-1), (9,), Mean((2,))),
        (lambda y: F.adaptive_avg_pool3d(y, 1), (3, 4, 5), Mean((2, 3, 4), keep=True)),
        (lambda y: y.mean((2, 3, 4)), (3, 4, 5), Mean((2, 3, 4))),
        (lambda y: y.flatten(2).mean(2), (3, 4, 5), Mean((2, 3, 4))),
    ],
)
def test_lines_and_volumes_have_global_pools_too(
    function: Callable[[Tensor], Tensor], sizes: tuple[int, ...], op: object
) -> None:
    assert assert_close(function, inputs(*sizes)) == [op]


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda y: y.amax((2, 3)), Amax((2, 3))),
        (lambda y: y.amax(-1, keepdim=True), Amax((3,), keep=True)),
        (lambda y: y.max(1, keepdim=True)[0], Amax((1,), keep=True)),
        (lambda y: y.max(dim=1).values, Amax((1,))),
        (lambda y: F.adaptive_max_pool2d(y, 1), Amax((2, 3), keep=True)),
        (lambda y: torch.max(y.flatten(2), 2)[0], Amax((2,))),
    ],
)
def test_the_greatest_is_a_code_of_the_operand(
    function: Callable[[Tensor], Tensor], op: object
) -> None:
    assert assert_codes_move(function, inputs(4, 5), inputs(6, 3))[-1] == op


def test_where_the_greatest_is_makes_an_island() -> None:
    graph = captured(lambda y: y.max(1)[1].float() + y.max(1)[0], inputs(4, 5))
    ((_, island), *_) = find(graph, Opaque)
    assert island.target == "aten.max.dim"
    assert island.reason == "it returns where its maxima are, or other statistics, besides"


def test_a_sum_is_rounded_once() -> None:
    assert assert_close(lambda y: y.sum((2, 3)), inputs(4, 5)) == [Sum((2, 3))]
    x, y = per_tensor(0.5, 10, UINT8), per_tensor(2.0, 3, UINT8)
    q = torch.tensor([[11, 12, 15]], dtype=torch.uint8)
    assert Sum((1,)).run_integer([q], Signature((x,), y), Float32()).tolist() == [5]  # 8 / 4 + 3
    kept = Mean((1,), keep=True).run_integer([q], Signature((x,), y), Float32())
    assert kept.tolist() == [[4]]  # 8 / 12 rounds to 1


def test_they_read_one_activation() -> None:
    assert Mean((1,)).roles(1) == Sum((1,)).roles(1) == (Role.ACTIVATION,)
    assert (Mean.grid, Sum.grid, Amax.grid) == (Grid.OWN, Grid.OWN, Grid.SHARED)


def test_a_sum_that_has_no_integer_form_says_why() -> None:
    to, x = float_graph(("N", 3, 4, 4))
    assert sum_(to, (), x) == "it reduces the batch, which may be of any size"
    index = Builder().input("i", ("N", 3), Plain(torch.int64))
    assert sum_(to, ("N",), index, [1]) == "it computes with integers"


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("axis", [0, 2])
def test_the_sum_of_a_stack_is_additions(axis: int, keep: bool) -> None:
    def function(y: Tensor) -> Tensor:
        return torch.stack([y, y.flip(3), y.flip(2)], axis).sum(axis, keepdim=keep)

    found = assert_close(function, inputs(4, 5), inputs(6, 3))
    assert [type(op) for op in found if isinstance(op, (Add, Sum, Concat))] == [Add, Add]


def test_the_sum_of_other_parts_stays_a_sum() -> None:
    def function(y: Tensor) -> Tensor:
        return torch.cat([y[:, :1], y[:, 1:]], 1).sum(1)

    assert assert_close(function, inputs(4, 5))[-1] == Sum((1,))
