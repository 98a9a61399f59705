from tests.nets import assert_same_function, images
from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Graph
from zeropoint.graph.text import format_graph
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.dropout import Dropout
from zeropoint.passes.remove_dropout import remove_dropout

BEFORE = """\
graph(%x: f32[N,3,8,8]) {
  %relu: f32[N,3,8,8] = clamp(%x) {low=0.0}
  %drop: f32[N,3,8,8] = dropout(%relu) {p=0.5}
  %channels: f32[N,3,8,8] = dropout(%drop) {p=0.2, channels=True}
  %top: f32[N,3,8,8] = clamp(%channels) {high=1.0}
  return %top
}"""

AFTER = """\
graph(%x: f32[N,3,8,8]) {
  %relu: f32[N,3,8,8] = clamp(%x) {low=0.0}
  %top: f32[N,3,8,8] = clamp(%relu) {high=1.0}
  return %top
}"""


def with_dropouts() -> Graph:
    to, x = float_graph(("N", 3, 8, 8))
    y = to.emit(Clamp(0.0), x, shape=x.shape, name="relu")
    y = to.emit(Dropout(0.5), y, shape=x.shape, name="drop")
    y = to.emit(Dropout(0.2, channels=True), y, shape=x.shape, name="channels")
    return to.done([to.emit(Clamp(high=1.0), y, shape=x.shape, name="top")])


def test_dropouts_are_removed_one_behind_the_other_too() -> None:
    before = with_dropouts()
    after = remove_dropout(before)
    assert format_graph(before) == BEFORE
    assert format_graph(after) == AFTER
    assert_same_function(before, after, [images()], 0.0)


def test_one_whose_result_is_the_graphs_leaves_its_operand_in_its_place() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    y = to.emit(Clamp(0.0), x, shape=x.shape, name="relu")
    after = remove_dropout(to.done([to.emit(Dropout(0.5), y, shape=x.shape, name="drop")]))
    assert after.outputs == ("relu",)


def test_a_graph_without_dropouts_stays_as_it_is() -> None:
    after = remove_dropout(with_dropouts())
    assert format_graph(remove_dropout(after)) == AFTER
