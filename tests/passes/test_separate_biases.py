import torch

from tests.nets import assert_same_function, images
from zeropoint.graph.build import float_graph
from zeropoint.graph.text import format_graph
from zeropoint.ops.add import Add
from zeropoint.ops.conv import Conv2d
from zeropoint.passes.separate_biases import separate_biases

BEFORE = """\
graph(%x: f32[N,3,8,8]) {
  %w: f32[3,3,1,1] = constant
  %b: f32[3] = constant
  %conv: f32[N,3,8,8] = conv2d(%x, %w, %b)
  %conv:2: f32[N,3,8,8] = conv2d(%conv, %w, %b)
  %conv:3: f32[N,3,8,8] = conv2d(%conv:2, %w, %b)
  return %conv:3
}"""

AFTER = """\
graph(%x: f32[N,3,8,8]) {
  %w: f32[3,3,1,1] = constant
  %b: f32[3] = constant
  %b': f32[3] = constant
  %b'': f32[3] = constant
  %conv: f32[N,3,8,8] = conv2d(%x, %w, %b)
  %conv:2: f32[N,3,8,8] = conv2d(%conv, %w, %b')
  %conv:3: f32[N,3,8,8] = conv2d(%conv:2, %w, %b'')
  return %conv:3
}"""


def test_a_layer_that_is_used_again_gets_a_bias_for_each_use() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    w, b = to.constant("w", torch.ones(3, 3, 1, 1)), to.constant("b", torch.ones(3))
    y = x
    for _ in range(3):
        y = to.emit(Conv2d(), y, w, b, shape=x.shape, name="conv")
    before = to.done([y])
    after = separate_biases(before)
    assert format_graph(before) == BEFORE
    assert format_graph(after) == AFTER
    assert_same_function(before, after, [images()], 0.0)


def test_a_bias_of_its_own_stays() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    w, b = to.constant("w", torch.ones(3, 3, 1, 1)), to.constant("b", torch.ones(3))
    y = to.emit(Conv2d(), x, w, b, shape=x.shape, name="conv")
    graph = to.done([to.emit(Add(), y, x, shape=x.shape)])
    assert format_graph(separate_biases(graph)) == format_graph(graph)
