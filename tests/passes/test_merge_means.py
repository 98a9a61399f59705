import pytest
import torch

from tests.nets import assert_same_function
from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import Op
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.text import format_graph
from zeropoint.ops.pool import GlobalAveragePool
from zeropoint.ops.reduce import Mean
from zeropoint.ops.shape import Flatten
from zeropoint.passes.merge_means import merge_means

IMAGE, VOLUME = (2, 3, 4, 5), (2, 3, 4, 5, 6)


def chain(shape: tuple[int, ...], *ops: Op) -> Graph:
    to, value = float_graph(("N", *shape[1:]))
    x = torch.zeros(shape)
    for op in ops:
        x = op.run(x)
        value = to.emit(op, value, shape=("N", *x.shape[1:]))
    return to.done([value])


@pytest.mark.parametrize(
    ("shape", "ops", "merged"),
    [
        (IMAGE, (Mean((3,)), Mean((2,))), GlobalAveragePool(keep=False)),
        (IMAGE, (Mean((2,)), Mean((2,))), GlobalAveragePool(keep=False)),
        (IMAGE, (Mean((2,), keep=True), Mean((3,), keep=True)), GlobalAveragePool()),
        (IMAGE, (Mean((1,)), Mean((2,))), Mean((1, 3))),
        (IMAGE, (Flatten(2), Mean((2,))), GlobalAveragePool(keep=False)),
        (VOLUME, (Mean((4,)), Mean((3,)), Mean((2,))), Mean((2, 3, 4))),
        (VOLUME, (Flatten(2), Mean((2,))), Mean((2, 3, 4))),
    ],
)
def test_means_in_a_row_are_one(shape: tuple[int, ...], ops: tuple[Op, ...], merged: Op) -> None:
    before = chain(shape, *ops)
    after = merge_means(before)
    assert [node.op for node in after.nodes] == [merged]
    assert_same_function(before, after, [torch.randn(shape)], 1e-6)


@pytest.mark.parametrize(
    "ops",
    [
        (Mean((2,), keep=True), Mean((3,))),
        (Flatten(2), Mean((2,), keep=True)),
        (Flatten(1), Mean((1,))),
        (Flatten(2), Mean((1,))),
    ],
)
def test_other_means_stay(ops: tuple[Op, ...]) -> None:
    graph = chain(IMAGE, *ops)
    assert format_graph(merge_means(graph)) == format_graph(graph)


def test_a_mean_that_somebody_else_reads_stays() -> None:
    to, x = float_graph(("N", 3, 4, 5))
    rows = to.emit(Mean((3,)), x, shape=("N", 3, 4))
    both = to.emit(Mean((2,)), rows, shape=("N", 3))
    graph = to.done([rows, both], Nest((Leaf(), Leaf())))
    assert format_graph(merge_means(graph)) == format_graph(graph)
