import pytest
import torch

from tests.nets import assert_same_function, images
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Graph
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.text import format_graph
from zeropoint.graph.value import UNKNOWN, Shape, Value
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.passes.fuse_add import fuse_add

TOLERANCE = 1e-6

BEFORE = """\
graph(%x: f32[N,3,8,8]) {
  %conv.w: f32[3,3,1,1] = constant
  %conv.b: f32[3] = constant
  %conv: f32[N,3,8,8] = conv2d(%x, %conv.w, %conv.b)
  %sum: f32[N,3,8,8] = add(%conv, %x) {low=0.0}
  return %sum
}"""

AFTER = """\
graph(%x: f32[N,3,8,8]) {
  %conv.w: f32[3,3,1,1] = constant
  %conv.b: f32[3] = constant
  %sum: f32[N,3,8,8] = conv2d(%x, %conv.w, %conv.b, %x) {low=0.0}
  return %sum
}"""

IMAGE: Shape = ("N", 3, 8, 8)
PLAIN = Conv2d()


def convolution(
    to: Builder, x: Value, name: str, op: Conv2d = PLAIN, shape: Shape = IMAGE
) -> Value:
    weight = torch.randn(3, 3, 1, 1, generator=torch.Generator().manual_seed(len(name)))
    w, b = to.constant(f"{name}.w", weight), to.constant(f"{name}.b", torch.ones(3))
    return to.emit(op, x, w, b, shape=shape, name=name)


def assert_left_alone(graph: Graph) -> None:
    assert format_graph(fuse_add(graph)) == format_graph(graph)


def test_a_residual_addition_goes_into_the_convolution() -> None:
    to, x = float_graph(IMAGE)
    before = to.done([to.emit(Add(0.0), convolution(to, x, "conv"), x, shape=IMAGE, name="sum")])
    after = fuse_add(before)
    assert format_graph(before) == BEFORE
    assert format_graph(after) == AFTER
    assert_same_function(before, after, [images()], TOLERANCE)


def test_the_order_of_the_operands_does_not_matter() -> None:
    to, x = float_graph(IMAGE)
    before = to.done([to.emit(Add(), x, convolution(to, x, "conv"), shape=IMAGE, name="sum")])
    after = fuse_add(before)
    assert [node.inputs[3] for node in after.nodes] == ["x"]
    assert_same_function(before, after, [images()], TOLERANCE)


def test_of_two_convolutions_the_later_takes_the_addition() -> None:
    to, x = float_graph(IMAGE)
    early, late = convolution(to, x, "early"), convolution(to, x, "late")
    before = to.done([to.emit(Add(), late, early, shape=IMAGE, name="sum")])
    after = fuse_add(before)
    assert [node.inputs for node in after.nodes][1] == ("x", "late.w", "late.b", "early")
    assert_same_function(before, after, [images()], TOLERANCE)


def test_an_addend_that_is_written_after_the_convolution_is_there_in_time() -> None:
    to, x = float_graph(IMAGE)
    conv = convolution(to, x, "conv")
    other = to.emit(Clamp(0.0), x, shape=IMAGE, name="other")
    before = to.done([to.emit(Add(), conv, other, shape=IMAGE, name="sum")])
    after = fuse_add(before)
    assert [node.output for node in after.nodes] == ["other", "sum"]
    assert_same_function(before, after, [images()], TOLERANCE)


def test_a_chain_of_residual_blocks_is_fused_one_by_one() -> None:
    to, x = float_graph(IMAGE)
    for name in ("a", "bb", "ccc"):
        x = to.emit(Add(0.0), x, convolution(to, x, name), shape=IMAGE, name=f"sum.{name}")
    before = to.done([x])
    after = fuse_add(before)
    assert [len(node.inputs) for node in after.nodes] == [4, 4, 4]
    assert_same_function(before, after, [images()], TOLERANCE)


# --- what is left alone ------------------------------------------------------------------------


def test_a_convolution_that_is_read_twice_is_needed_as_it_is() -> None:
    to, x = float_graph(IMAGE)
    conv = convolution(to, x, "conv")
    total = to.emit(Add(), conv, x, shape=IMAGE)
    assert_left_alone(to.done([to.emit(Add(), total, conv, shape=IMAGE)]))


def test_a_convolution_added_to_itself_has_no_other_addend() -> None:
    to, x = float_graph(IMAGE)
    conv = convolution(to, x, "conv")
    assert_left_alone(to.done([to.emit(Add(), conv, conv, shape=IMAGE)]))


def test_a_convolution_that_is_an_output_is_needed_as_it_is() -> None:
    to, x = float_graph(IMAGE)
    conv = convolution(to, x, "conv")
    total = to.emit(Add(), conv, x, shape=IMAGE)
    assert_left_alone(to.done([total, conv], Nest((Leaf(), Leaf()))))


def test_an_addition_of_different_shapes_is_no_residual() -> None:
    to, x = float_graph(IMAGE)
    row = to.input("row", ("N", 3, 1, 8))
    conv = convolution(to, x, "conv")
    assert_left_alone(to.done([to.emit(Add(), conv, row, shape=IMAGE)]))


def test_an_addition_of_unknown_shapes_may_be_of_different_ones() -> None:
    to, x = float_graph(IMAGE)
    unknown = ("N", 3, UNKNOWN, 8)
    other = to.emit(Clamp(), x, shape=unknown)
    conv = convolution(to, x, "conv", shape=unknown)
    assert_left_alone(to.done([to.emit(Add(), conv, other, shape=unknown)]))


def test_an_activation_before_the_addition_comes_first() -> None:
    to, x = float_graph(IMAGE)
    conv = convolution(to, x, "conv", Conv2d(low=0.0))
    assert_left_alone(to.done([to.emit(Add(), conv, x, shape=IMAGE)]))


def test_a_convolution_has_one_addend_at_most() -> None:
    to, x = float_graph(IMAGE)
    graph = fuse_add(
        to.done([to.emit(Add(), convolution(to, x, "conv"), x, shape=IMAGE, name="s")])
    )
    w, b = (graph.constants[name] for name in ("conv.w", "conv.b"))
    again, y = float_graph(IMAGE)
    conv = again.emit(Conv2d(), y, again.constant("w", w), again.constant("b", b), y, shape=IMAGE)
    assert_left_alone(again.done([again.emit(Add(), conv, y, shape=IMAGE)]))


def test_an_addition_without_convolution_stays() -> None:
    to, x = float_graph(IMAGE)
    assert_left_alone(to.done([to.emit(Add(), x, x, shape=IMAGE)]))


@pytest.mark.parametrize("alpha", [-1.0, 0.3])
def test_a_factor_of_the_convolution_goes_into_its_weights(alpha: float) -> None:
    to, x = float_graph(IMAGE)
    sum = to.emit(Add(alpha=alpha), x, convolution(to, x, "conv"), shape=IMAGE, name="sum")
    before = to.done([sum])
    after = fuse_add(before)
    assert [(node.op, len(node.inputs)) for node in after.nodes] == [(Conv2d(), 4)]
    assert_same_function(before, after, [images()], TOLERANCE)


def test_a_factor_of_the_other_operand_keeps_them_apart() -> None:
    to, x = float_graph(IMAGE)
    sum = to.emit(Add(alpha=-1.0), convolution(to, x, "conv"), x, shape=IMAGE)
    assert_left_alone(to.done([sum]))


def test_a_function_before_the_addition_comes_first() -> None:
    to, x = float_graph(IMAGE)
    y = convolution(to, x, "conv", Conv2d(function=(("silu", "x"),)))
    assert_left_alone(to.done([to.emit(Add(), y, x, shape=IMAGE)]))
