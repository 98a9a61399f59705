from dataclasses import replace

import pytest
import torch

from tests.nets import assert_same_function, images
from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Graph
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.text import format_graph
from zeropoint.graph.value import Size
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d, Sizes
from zeropoint.ops.pad import Pad
from zeropoint.ops.shape import SizeOf
from zeropoint.passes.fold_pad import fold_pad

TOLERANCE = 1e-6

BEFORE = """\
graph(%x: f32[N,3,8,8]) {
  %w: f32[4,3,3,3] = constant
  %b: f32[4] = constant
  %pad: f32[N,3,12,10] = pad(%x) {amounts=(1, 1, 2, 2)}
  %conv: f32[N,4,10,8] = conv2d(%pad, %w, %b)
  return %conv
}"""

AFTER = """\
graph(%x: f32[N,3,8,8]) {
  %w: f32[4,3,3,3] = constant
  %b: f32[4] = constant
  %conv: f32[N,4,10,8] = conv2d(%x, %w, %b) {padding=(2, 1)}
  return %conv
}"""


def padded(amounts: tuple[int, ...], padding: Sizes = (0, 0)) -> Graph:
    to, x = float_graph(("N", 3, 8, 8))
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    w, b = to.constant("w", weight), to.constant("b", torch.ones(4))
    pad, conv = Pad(amounts), Conv2d(padding=padding)
    wide = pad.run(images(1))
    size = conv.run(wide, weight, torch.ones(4)).shape[-2:]
    y = to.emit(pad, x, shape=("N", *wide.shape[1:]), name="pad")
    return to.done([to.emit(conv, y, w, b, shape=("N", 4, *size), name="conv")])


def test_an_even_border_of_zeros_goes_into_the_convolution() -> None:
    before = padded((1, 1, 2, 2))
    after = fold_pad(before)
    assert format_graph(before) == BEFORE
    assert format_graph(after) == AFTER
    assert_same_function(before, after, [images()], TOLERANCE)


def test_it_adds_to_the_padding_that_is_there() -> None:
    before = padded((1, 1, 1, 1), padding=(1, 2))
    after = fold_pad(before)
    assert [node.op for node in after.nodes] == [Conv2d(padding=(2, 3))]
    assert_same_function(before, after, [images()], TOLERANCE)


@pytest.mark.parametrize(
    "amounts",
    [
        (1, 2, 1, 2),  # padding="same" with an even kernel
        (0, 0, 1, 0),
        (-1, -1, -1, -1),  # a crop
        (1, 1, 1, 1, 0, 0),
    ],
)
def test_any_other_border_stays(amounts: tuple[int, ...]) -> None:
    graph = padded(amounts)
    assert format_graph(fold_pad(graph)) == format_graph(graph)


def test_a_border_of_the_width_only_is_one_of_the_convolution_s() -> None:
    (node,) = fold_pad(padded((1, 1))).nodes
    assert node.op == Conv2d(padding=(0, 1))


@pytest.mark.parametrize("pad", [Pad((1, 1, 1, 1), "reflect"), Pad((1, 1, 1, 1), value=torch.inf)])
def test_a_border_of_anything_but_zeros_stays(pad: Pad) -> None:
    graph = padded((1, 1, 1, 1))
    nodes = tuple(replace(n, op=pad) if isinstance(n.op, Pad) else n for n in graph.nodes)
    graph = replace(graph, nodes=nodes)
    assert format_graph(fold_pad(graph)) == format_graph(graph)


def test_a_border_of_computed_amounts_stays() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    size = to.emit(SizeOf(2), x, shape=("?",), type=Size())
    y = to.emit(Pad((1, None, 1, 1)), x, size, shape=("N", 3, 10, "?"))
    w, b = to.constant("w", torch.ones(4, 3, 3, 3)), to.constant("b", torch.ones(4))
    graph = to.done([to.emit(Conv2d(), y, w, b, shape=("N", 4, 8, "?"))])
    assert format_graph(fold_pad(graph)) == format_graph(graph)


def test_a_border_that_somebody_else_reads_stays() -> None:
    graph = replace(padded((1, 1, 1, 1)), outputs=("conv", "pad"), structure=Nest((Leaf(),) * 2))
    assert format_graph(fold_pad(graph)) == format_graph(graph)


def test_a_border_before_anything_else_stays() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    y = to.emit(Pad((1, 1, 1, 1)), x, shape=("N", 3, 10, 10), name="pad")
    graph = to.done([to.emit(Clamp(0.0), y, shape=y.shape)])
    assert format_graph(fold_pad(graph)) == format_graph(graph)
