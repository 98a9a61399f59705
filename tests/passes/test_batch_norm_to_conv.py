import pytest
import torch

from tests.nets import assert_same_function, images
from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Graph, Origin
from zeropoint.graph.text import format_graph
from zeropoint.graph.value import Shape
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.mul import Mul
from zeropoint.ops.pool import MaxPool2d
from zeropoint.ops.table import Table
from zeropoint.passes.batch_norm_to_conv import batch_norm_to_conv

TOLERANCE = 1e-6

BEFORE = """\
graph(%x: f32[N,3,8,8]) {
  %gamma: f32[3] = constant
  %beta: f32[3] = constant
  %mean: f32[3] = constant
  %var: f32[3] = constant
  %norm: f32[N,3,8,8] = batch_norm(%x, %gamma, %beta, %mean, %var) {eps=0.1}  # norm
  return %norm
}"""

AFTER = """\
graph(%x: f32[N,3,8,8]) {
  %norm.weight': f32[3,1,1,1] = constant
  %norm.bias': f32[3] = constant
  %norm: f32[N,3,8,8] = conv2d(%x, %norm.weight', %norm.bias') {groups=3}  # norm
  return %norm
}"""

VECTORS = """\
graph(%x: f32[N,3]) {
  %norm.weight': f32[3,1,1,1] = constant
  %norm.bias': f32[3] = constant
  %norm.pixel: f32[N,3,1,1] = reshape(%x) {shape=(0, 3, 1, 1)}  # norm
  %norm.normed: f32[N,3,1,1] = conv2d(%norm.pixel, %norm.weight', %norm.bias') {groups=3}  # norm
  %norm: f32[N,3] = flatten(%norm.normed)  # norm
  return %norm
}"""


def lone_batch_norm(shape: Shape) -> Graph:
    to, x = float_graph(shape)
    to.origin = Origin("norm")
    constants = {"gamma": [2.0, -0.5, 0.0], "beta": [1.0, 2.0, 3.0], "mean": [0.0, 1.0, -1.0]}
    operands = [to.constant(name, torch.tensor(values)) for name, values in constants.items()]
    var = to.constant("var", torch.tensor([1.0, 0.25, 4.0]))
    return to.done([to.emit(BatchNorm(eps=0.1), x, *operands, var, shape=shape, name="norm")])


def test_a_batch_norm_over_an_image_becomes_a_depthwise_convolution() -> None:
    before = lone_batch_norm(("N", 3, 8, 8))
    after = batch_norm_to_conv(before)
    assert format_graph(before) == BEFORE
    assert format_graph(after) == AFTER
    assert_same_function(before, after, [images()], TOLERANCE)


def test_a_batch_norm_over_vectors_goes_through_an_image_of_one_pixel() -> None:
    before = lone_batch_norm(("N", 3))
    after = batch_norm_to_conv(before)
    assert format_graph(after) == VECTORS
    assert_same_function(before, after, [torch.randn(5, 3)], TOLERANCE)


@pytest.mark.parametrize("sizes", [(7,), (4, 5, 6)])
def test_a_batch_norm_over_sequences_and_volumes_is_a_convolution_there(
    sizes: tuple[int, ...],
) -> None:
    before = lone_batch_norm(("N", 3, *sizes))
    after = batch_norm_to_conv(before)
    assert [node.op.name for node in after.nodes] == [f"conv{len(sizes)}d"]
    assert_same_function(before, after, [torch.randn(5, 3, *sizes)], TOLERANCE)


def scaled(*names: str) -> Graph:
    """x, times a constant for each channel, and plus one, in the order of the names."""
    to, value = float_graph(("N", 3, 4, 4))
    column = torch.tensor([1.0, -2.0, 3.0]).reshape(3, 1, 1)
    for name in names:
        op = Mul() if name == "mul" else Add()
        value = to.emit(op, value, to.constant(f"c.{name}", column), shape=value.shape, name=name)
    return to.done([value])


def test_other_factors_and_offsets_of_channels_are_convolutions_too() -> None:
    for names in (("mul",), ("add",), ("mul", "add"), ("add", "mul")):
        before = scaled(*names)
        after = batch_norm_to_conv(before)
        assert [node.op for node in after.nodes] == [Conv2d(groups=3)]
        assert_same_function(before, after, [torch.randn(5, 3, 4, 4)], TOLERANCE)


def test_a_number_for_all_channels_is_one_at_the_networks_input_only() -> None:
    to, x = float_graph(("N", 3, 4, 4))
    twice = to.emit(Table((("mul", "x", 2.0),)), x, shape=x.shape)
    after = to.emit(MaxPool2d((1, 1), (1, 1)), twice, shape=x.shape)
    before = to.done([to.emit(Table((("mul", "x", 2.0),)), after, shape=x.shape)])
    simple = batch_norm_to_conv(before)
    assert [node.op.name for node in simple.nodes] == ["conv2d", "max_pool2d", "table"]
    assert_same_function(before, simple, [torch.randn(5, 3, 4, 4)], TOLERANCE)
