import torch

from zeropoint.graph.build import float_graph
from zeropoint.graph.channels_last import as_channels_last, channels_last
from zeropoint.ops.conv import Conv2d


def test_images_and_weights_of_convolutions_change_their_layout_and_nothing_else() -> None:
    to, x = float_graph(("N", 2, 4, 4))
    weight, bias = torch.rand(3, 2, 3, 3), torch.rand(3)
    operands = x, to.constant("w", weight), to.constant("b", bias)
    graph = to.done([to.emit(Conv2d(), *operands, shape=("N", 3, 2, 2))])
    found = channels_last(graph).constants
    assert found["w"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found["w"], weight)
    assert found["b"] is bias
    assert graph.constants["w"] is weight


def test_a_tensor_of_another_rank_stays_as_it_is() -> None:
    x = torch.rand(2, 3)
    assert as_channels_last(x) is x
