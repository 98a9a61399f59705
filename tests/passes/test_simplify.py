import pytest
from torch import nn

from tests.nets import Gated, Islands, MobileNetLike, Residual, assert_same_function, images, seeded
from zeropoint.capture import capture
from zeropoint.graph.text import format_graph
from zeropoint.passes import simplify

TOLERANCE = 1e-5


@pytest.mark.parametrize("kind", [Residual, MobileNetLike, Gated, Islands])
def test_a_whole_network_computes_the_same_in_fewer_operators(kind: type[nn.Module]) -> None:
    before = capture(seeded(kind()), (images(),))
    after = simplify(before)
    assert len(after.nodes) < len(before.nodes)
    left = {node.op.name for node in after.nodes} & {"batch_norm", "clamp"}
    assert not left
    assert_same_function(before, after, [images(3, size=12, seed=5)], TOLERANCE)


def test_simplifying_twice_changes_nothing_more() -> None:
    once = simplify(capture(seeded(Residual()), (images(),)))
    assert format_graph(simplify(once)) == format_graph(once)


def test_a_residual_network_is_convolutions_a_pool_and_a_layer() -> None:
    graph = simplify(capture(seeded(Residual()), (images(),)))
    assert [f"{node.op.name}/{len(node.inputs)}" for node in graph.nodes] == [
        "conv2d/3",
        "conv2d/3",
        "conv2d/4",
        "conv2d/3",
        "conv2d/3",
        "conv2d/4",
        "global_average_pool/1",
        "flatten/1",
        "linear/3",
    ]
