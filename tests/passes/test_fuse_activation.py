from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from tests.nets import assert_same_function, images
from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import Op
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.text import format_graph
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.mul import Mul
from zeropoint.ops.pool import MaxPool2d
from zeropoint.passes.fuse_activation import fuse_activation

BEFORE = """\
graph(%x: f32[N,3,8,8]) {
  %w: f32[3,3,1,1] = constant
  %b: f32[3] = constant
  %y: f32[N,3,8,8] = conv2d(%x, %w, %b)
  %clamp: f32[N,3,8,8] = clamp(%y) {low=0.0, high=6.0}
  return %clamp
}"""

AFTER = """\
graph(%x: f32[N,3,8,8]) {
  %w: f32[3,3,1,1] = constant
  %b: f32[3] = constant
  %clamp: f32[N,3,8,8] = conv2d(%x, %w, %b) {low=0.0, high=6.0}
  return %clamp
}"""


def clamped(op: Op, clamps: Sequence[Clamp]) -> Graph:
    """The operator over x (N, 3, 8, 8), and one clamp after the other."""
    to, x = float_graph(("N", 3, 8, 8))
    operands = [x]
    if isinstance(op, Conv2d):
        weight = torch.randn(3, 3, 1, 1, generator=torch.Generator().manual_seed(0))
        operands += [to.constant("w", weight), to.constant("b", torch.ones(3))]
    if isinstance(op, Linear):
        weight = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
        operands += [to.constant("w", weight), to.constant("b", torch.ones(8))]
    if isinstance(op, Add | Mul):
        operands += [x]
    y = to.emit(op, *operands, shape=x.shape, name="y")
    for clamp in clamps:
        y = to.emit(clamp, y, shape=x.shape, name="clamp")
    return to.done([y])


def test_a_clamp_becomes_the_bounds_of_the_convolution_before_it() -> None:
    before = clamped(Conv2d(), [Clamp(0.0, 6.0)])
    after = fuse_activation(before)
    assert format_graph(before) == BEFORE
    assert format_graph(after) == AFTER
    assert_same_function(before, after, [images()], 0.0)


@pytest.mark.parametrize("op", [Conv2d(), Linear(), Add(), Mul(), Clamp(-0.5)])
def test_every_operator_with_bounds_takes_a_relu(op: Op) -> None:
    before = clamped(op, [Clamp(0.0)])
    after = fuse_activation(before)
    assert [node.op for node in after.nodes] == [replace(op, low=0.0)]  # type: ignore[type-var]  # every operator is a dataclass
    assert_same_function(before, after, [images()], 0.0)


@pytest.mark.parametrize(
    ("clamps", "bounds"),
    [
        ([Clamp(0.0), Clamp(0.0, 6.0)], (0.0, 6.0)),
        ([Clamp(-1.0, 1.0), Clamp(0.0)], (0.0, 1.0)),
        ([Clamp(None, 1.0), Clamp(-1.0, None), Clamp(-2.0, 0.5)], (-1.0, 0.5)),
        ([Clamp(0.0), Clamp(0.0), Clamp(0.0), Clamp(0.0)], (0.0, None)),
    ],
)
@pytest.mark.parametrize("op", [Conv2d(), MaxPool2d((1, 1), (1, 1))])
def test_clamps_in_a_row_become_the_intersection_of_their_bounds(
    op: Op, clamps: list[Clamp], bounds: tuple[float | None, float | None]
) -> None:
    before = clamped(op, clamps)
    after = fuse_activation(before)
    last = after.nodes[-1].op
    assert isinstance(last, Conv2d | Clamp)
    assert (last.low, last.high) == bounds
    assert len(after.nodes) == (1 if isinstance(op, Conv2d) else 2)
    assert_same_function(before, after, [images()], 0.0)


def test_bounds_that_exclude_each_other_stay_two_clamps() -> None:
    """clamp(clamp(x, 2, 3), 0, 1) is the constant 1, which no single clamp is."""
    before = clamped(Conv2d(), [Clamp(2.0, 3.0), Clamp(0.0, 1.0)])
    after = fuse_activation(before)
    assert len(after.nodes) == 2
    assert_same_function(before, after, [images()], 0.0)


def test_a_result_that_somebody_else_reads_keeps_its_values() -> None:
    graph = clamped(Conv2d(), [Clamp(0.0)])
    graph = replace(graph, outputs=("clamp", "y"), structure=Nest((Leaf(), Leaf())))
    assert format_graph(fuse_activation(graph)) == format_graph(graph)


def test_a_clamp_on_the_input_or_after_a_pool_stays() -> None:
    for graph in (
        clamped(MaxPool2d((1, 1), (1, 1)), [Clamp(0.0)]),
        clamped(Clamp(0.0), []),
    ):
        assert format_graph(fuse_activation(graph)) == format_graph(graph)
