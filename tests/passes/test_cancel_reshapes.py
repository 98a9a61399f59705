import torch

from tests.nets import assert_same_function
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.text import format_graph
from zeropoint.graph.value import Value
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.permute import Permute
from zeropoint.ops.shape import Flatten, Reshape
from zeropoint.passes.cancel_reshapes import cancel_reshapes

BEFORE = """\
graph(%x: f32[N,5,4]) {
  %rows: f32[?,4] = flatten(%x) {start=0, end=1}
  %back: f32[N,5,4] = reshape(%rows) {shape=(-1, 5, 4)}
  %y: f32[N,5,4] = clamp(%back) {low=0.0}
  return %y
}"""

AFTER = """\
graph(%x: f32[N,5,4]) {
  %y: f32[N,5,4] = clamp(%x) {low=0.0}
  return %y
}"""


def there_and_back(to: Builder, x: Value) -> tuple[Value, Value]:
    rows = to.emit(Flatten(0, 1), x, shape=("?", 4), name="rows")
    return rows, to.emit(Reshape((-1, 5, 4)), rows, shape=x.shape, name="back")


def test_reshapes_that_undo_each_other_go() -> None:
    to, x = float_graph(("N", 5, 4))
    _, back = there_and_back(to, x)
    before = to.done([to.emit(Clamp(0.0), back, shape=x.shape, name="y")])
    after = cancel_reshapes(before)
    assert format_graph(before) == BEFORE
    assert format_graph(after) == AFTER
    assert_same_function(before, after, [torch.randn(3, 5, 4)], 0)


def test_what_else_reads_the_value_in_between_still_finds_it() -> None:
    to, x = float_graph(("N", 5, 4))
    rows, back = there_and_back(to, x)
    ends = [to.emit(Clamp(0.0), end, shape=end.shape) for end in (rows, back)]
    before = to.done(ends, Nest((Leaf(), Leaf())))
    after = cancel_reshapes(before)
    assert [node.op.name for node in after.nodes] == ["flatten", "clamp", "clamp"]
    assert_same_function(before, after, [torch.randn(3, 5, 4)], 0)


def test_sizes_that_nobody_knows_are_not_taken_for_equal() -> None:
    to, x = float_graph(("?", 4))
    y = to.emit(Reshape((-1, 2, 4)), x, shape=("?", 2, 4))
    graph = to.done([to.emit(Flatten(0, 1), y, shape=("?", 4))])
    assert format_graph(cancel_reshapes(graph)) == format_graph(graph)


def test_a_permutation_is_no_reshape() -> None:
    to, x = float_graph(("N", 4, 4))
    y = to.emit(Permute((0, 2, 1)), x, shape=x.shape)
    rows = to.emit(Flatten(1), y, shape=("N", 16))
    graph = to.done([to.emit(Reshape((0, 4, 4)), rows, shape=x.shape)])
    assert [node.op.name for node in cancel_reshapes(graph).nodes] == ["permute"]
