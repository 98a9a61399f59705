from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nets import assert_same_function, images
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Graph, Origin
from zeropoint.graph.op import Op
from zeropoint.graph.rewrite import find
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.text import format_graph
from zeropoint.graph.value import Shape, Size, Value
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.mul import Mul
from zeropoint.ops.shape import COMPUTED, Flatten, Reshape, SizeOf
from zeropoint.ops.table import Table
from zeropoint.passes.fold_batch_norm import fold_batch_norm

TOLERANCE = 1e-6

BEFORE = """\
graph(%x: f32[N,3,8,8]) {
  %w: f32[4,3,3,3] = constant
  %b: f32[4] = constant
  %gamma: f32[4] = constant
  %beta: f32[4] = constant
  %mean: f32[4] = constant
  %var: f32[4] = constant
  %conv: f32[N,4,8,8] = conv2d(%x, %w, %b) {padding=(1, 1)}  # conv
  %norm: f32[N,4,8,8] = batch_norm(%conv, %gamma, %beta, %mean, %var)  # norm
  return %norm
}"""

AFTER = """\
graph(%x: f32[N,3,8,8]) {
  %conv.weight': f32[4,3,3,3] = constant
  %conv.bias': f32[4] = constant
  %norm: f32[N,4,8,8] = conv2d(%x, %conv.weight', %conv.bias') {padding=(1, 1)}  # conv
  return %norm
}"""


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def convolution(to: Builder, x: Value, op: Conv2d, weight: Tensor, shape: Shape) -> Value:
    to.origin = Origin("conv")
    w, b = to.constant("w", weight), to.constant("b", random(len(weight), seed=2))
    return to.emit(op, x, w, b, shape=shape, name="conv")


def batch_norm(to: Builder, x: Value, count: int, *, gamma: Tensor | None = None) -> Value:
    """Factors of both signs, means and variances that matter."""
    to.origin = Origin("norm")
    constants = {
        "gamma": random(count, seed=3) if gamma is None else gamma,
        "beta": random(count, seed=4),
        "mean": random(count, seed=5),
        "var": random(count, seed=6).square() + 0.1,
    }
    operands = [to.constant(name, tensor) for name, tensor in constants.items()]
    return to.emit(BatchNorm(), x, *operands, shape=x.shape, name="norm")


def conv_and_norm(**options: Any) -> Graph:
    gamma = options.pop("gamma", None)
    groups = options.get("groups", 1)
    to, x = float_graph(("N", 3, 8, 8))
    channels = 4 if groups == 1 else 6
    weight = random(channels, 3 // groups, 3, 3)
    op = Conv2d(**{"padding": (1, 1), **options})
    size = op.run(images(1), weight, torch.zeros(channels)).shape[-2:]
    y = convolution(to, x, op, weight, ("N", channels, *size))
    return to.done([batch_norm(to, y, channels, gamma=gamma)])


def test_a_batch_norm_goes_into_the_convolution_before_it() -> None:
    before = conv_and_norm()
    after = fold_batch_norm(before)
    assert format_graph(before) == BEFORE
    assert format_graph(after) == AFTER
    assert_same_function(before, after, [images()], TOLERANCE)


@pytest.mark.parametrize(
    "options",
    [
        {"stride": (2, 2)},
        {"stride": (1, 2), "padding": (0, 2)},
        {"dilation": (2, 1)},
        {"groups": 3},
        {"gamma": -torch.ones(4)},
        {"gamma": torch.zeros(4)},
        {"gamma": torch.tensor([1.0, -1.0, 0.0, 1e-3])},
    ],
)
def test_every_kind_of_convolution_takes_its_batch_norm(options: dict[str, Any]) -> None:
    before = conv_and_norm(**options)
    after = fold_batch_norm(before)
    assert [node.op.name for node in after.nodes] == ["conv2d"]
    assert_same_function(before, after, [images()], TOLERANCE)


def test_the_folded_numbers_are_those_of_the_equations() -> None:
    before = conv_and_norm()
    c = {name: tensor.double() for name, tensor in before.constants.items()}
    factor = c["gamma"] / torch.sqrt(c["var"] + 1e-5)
    after = fold_batch_norm(before).constants
    assert torch.equal(after["conv.weight'"], (c["w"] * factor.reshape(4, 1, 1, 1)).float())
    assert torch.equal(after["conv.bias'"], ((c["b"] - c["mean"]) * factor + c["beta"]).float())


def test_a_batch_norm_goes_into_the_linear_layer_before_it() -> None:
    to, x = float_graph(("N", 6))
    w, b = to.constant("w", random(4, 6)), to.constant("b", random(4))
    y = to.emit(Linear(), x, w, b, shape=("N", 4), name="fc")
    before = to.done([batch_norm(to, y, 4)])
    after = fold_batch_norm(before)
    assert [node.op.name for node in after.nodes] == ["linear"]
    assert_same_function(before, after, [random(5, 6)], TOLERANCE)


def test_two_batch_norms_in_a_row_are_both_folded() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    y = convolution(to, x, Conv2d(padding=(1, 1)), random(4, 3, 3, 3), ("N", 4, 8, 8))
    before = to.done([batch_norm(to, batch_norm(to, y, 4), 4)])
    after = fold_batch_norm(before)
    assert [node.op.name for node in after.nodes] == ["conv2d"]
    assert_same_function(before, after, [images()], TOLERANCE)


def test_a_convolution_that_is_used_twice_is_folded_with_either_batch_norm() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    w, b = to.constant("w", random(3, 3, 3, 3)), to.constant("b", random(3))
    op = Conv2d(padding=(1, 1))
    y = batch_norm(to, to.emit(op, x, w, b, shape=x.shape, name="conv"), 3)
    y = batch_norm(to, to.emit(op, y, w, b, shape=x.shape, name="conv"), 3, gamma=torch.ones(3))
    before = to.done([y])
    after = fold_batch_norm(before)
    assert [node.op.name for node in after.nodes] == ["conv2d", "conv2d"]
    assert_same_function(before, after, [images()], TOLERANCE)


def sequence_and_norm(to: Builder, x: Value, *, channels: int = 4) -> tuple[Value, Value]:
    """A linear layer over sequences, and its result as rows."""
    w, b = to.constant("w", random(channels, 6)), to.constant("b", random(channels))
    y = to.emit(Linear(), x, w, b, shape=("N", 5, channels), name="fc")
    return y, to.emit(Flatten(0, 1), y, shape=("?", channels), name="rows")


def test_a_batch_norm_goes_through_a_reshape_that_keeps_its_channels() -> None:
    to, x = float_graph(("N", 5, 6))
    y, rows = sequence_and_norm(to, x)
    size = to.emit(SizeOf(0), y, shape=("N",), type=Size(), name="size")
    back = Reshape((COMPUTED, 5, 4))
    z = to.emit(back, batch_norm(to, rows, 4), size, shape=("N", 5, 4), name="back")
    before = to.done([z])
    after = fold_batch_norm(before)
    assert [node.op.name for node in after.nodes] == ["linear", "flatten", "size_of", "reshape"]
    assert_same_function(before, after, [random(3, 5, 6)], TOLERANCE)


def test_a_number_goes_through_every_reshape() -> None:
    to, x = float_graph(("N", 5, 6))
    _, rows = sequence_and_norm(to, x)
    y = to.emit(Reshape((-1, 5, 2, 2)), rows, shape=("N", 5, 2, 2))
    before = to.done([to.emit(Table((("mul", "x", 0.25),)), y, shape=y.shape)])
    after = fold_batch_norm(before)
    assert [node.op.name for node in after.nodes] == ["linear", "flatten", "reshape"]
    assert_same_function(before, after, [random(3, 5, 6)], TOLERANCE)


# --- what is left alone ------------------------------------------------------------------------


def assert_left_alone(graph: Graph) -> None:
    after = fold_batch_norm(graph)
    assert format_graph(after) == format_graph(graph)
    assert len(find(after, BatchNorm)) == 1


def test_a_convolution_whose_result_is_read_elsewhere_keeps_its_weights() -> None:
    graph = conv_and_norm()
    outputs, structure = ("norm", "conv"), Nest((Leaf(), Leaf()))
    assert_left_alone(replace(graph, outputs=outputs, structure=structure))


def test_a_convolution_with_an_activation_keeps_its_weights() -> None:
    assert_left_alone(conv_and_norm(low=0.0))


def test_an_activation_between_them_keeps_them_apart() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    y = convolution(to, x, Conv2d(padding=(1, 1)), random(4, 3, 3, 3), ("N", 4, 8, 8))
    assert_left_alone(to.done([batch_norm(to, to.emit(Clamp(0.0), y, shape=y.shape), 4)]))


def test_a_linear_layer_over_a_sequence_keeps_its_weights() -> None:
    """Its channels are the last axis, those of the batch norm the second."""
    to, x = float_graph(("N", 4, 6))
    w, b = to.constant("w", random(4, 6)), to.constant("b", random(4))
    y = to.emit(Linear(), x, w, b, shape=("N", 4, 4), name="fc")
    assert_left_alone(to.done([batch_norm(to, y, 4)]))


def test_a_reshape_that_mixes_channels_keeps_them_apart() -> None:
    to, x = float_graph(("N", 5, 6))
    _, rows = sequence_and_norm(to, x)
    y = to.emit(Reshape((-1, 2)), rows, shape=("?", 2))
    assert_left_alone(to.done([batch_norm(to, y, 2)]))


def test_rows_that_are_read_elsewhere_keep_the_weights() -> None:
    to, x = float_graph(("N", 5, 6))
    y, rows = sequence_and_norm(to, x)
    graph = to.done([batch_norm(to, rows, 4), y], Nest((Leaf(), Leaf())))
    assert_left_alone(graph)


def test_a_batch_norm_over_the_input_has_nothing_to_go_into() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    assert_left_alone(to.done([batch_norm(to, x, 3)]))


# --- other factors and offsets -------------------------------------------------------------------


def conv_and(op: Op, *constants: Tensor) -> Graph:
    """A convolution to four channels, and an operator on its result and constants."""
    to, x = float_graph(("N", 3, 8, 8))
    y = convolution(to, x, Conv2d(padding=(1, 1)), random(4, 3, 3, 3), ("N", 4, 8, 8))
    operands = [to.constant(f"c{i}", constant) for i, constant in enumerate(constants)]
    return to.done([to.emit(op, y, *operands, shape=y.shape, name="y")])


@pytest.mark.parametrize(
    "graph",
    [
        conv_and(Mul(), random(4, 1, 1)),
        conv_and(Mul(), random(1, 4, 1, 1)),
        conv_and(Add(), random(4, 1, 1)),
        conv_and(Add(alpha=-2.0), random(4, 1, 1)),
        conv_and(Table((("mul", "x", 0.3),))),
        conv_and(Table((("sub", 1.0, "x"), ("div", "x1", 0.7)))),
    ],
)
def test_constants_for_each_channel_and_numbers_for_all_are_folded(graph: Graph) -> None:
    after = fold_batch_norm(graph)
    assert [node.op for node in after.nodes] == [Conv2d(padding=(1, 1))]
    assert_same_function(graph, after, [images()], TOLERANCE)


def test_a_factor_for_each_feature_goes_into_a_linear_layer_over_a_sequence() -> None:
    to, x = float_graph(("N", 4, 6))
    w, b = to.constant("w", random(5, 6)), to.constant("b", random(5))
    y = to.emit(Linear(), x, w, b, shape=("N", 4, 5), name="fc")
    before = to.done([to.emit(Mul(), y, to.constant("c", random(5)), shape=y.shape)])
    after = fold_batch_norm(before)
    assert [node.op for node in after.nodes] == [Linear()]
    assert_same_function(before, after, [random(2, 4, 6)], TOLERANCE)


@pytest.mark.parametrize(
    "graph",
    [
        conv_and(Mul(), random(4, 8, 8)),
        conv_and(Mul(), random(8, 1)),
        conv_and(Table((("silu", "x"),))),
    ],
)
def test_what_varies_along_another_axis_or_bends_stays(graph: Graph) -> None:
    assert format_graph(fold_batch_norm(graph)) == format_graph(graph)


def test_a_convolution_with_a_function_keeps_its_weights() -> None:
    assert_left_alone(conv_and_norm(function=(("silu", "x"),)))
