import pytest
import torch
from torch import Tensor, nn

from tests.nets import assert_same_function, images, seeded
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph
from zeropoint.graph.text import format_graph
from zeropoint.ops.shuffle import ChannelShuffle
from zeropoint.passes.find_shuffles import find_shuffles


class Shuffled(nn.Module):
    def __init__(self, groups: int, *, order: tuple[int, ...] = (0, 2, 1, 3, 4)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)
        self.groups, self.order = groups, order

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        batch, channels, height, width = y.shape
        apart = y.view(batch, self.groups, channels // self.groups, height, width)
        whole: Tensor = apart.permute(self.order).reshape(batch, channels, height, width)
        return whole


def graph_of(model: nn.Module) -> Graph:
    return capture(seeded(model), (images(),))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_three_operators_are_one_shuffle(groups: int) -> None:
    before = graph_of(Shuffled(groups))
    after = find_shuffles(before)
    assert [node.op.name for node in after.nodes] == ["conv2d", "channel_shuffle"]
    assert after.nodes[-1].op == ChannelShuffle(groups)
    for size in (8, 5):
        assert_same_function(before, after, [images(size=size)], 0.0)


def test_another_order_is_no_shuffle() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            apart = y.view(y.shape[0], 2, 3, *y.shape[2:]).permute(0, 2, 1, 4, 3)
            whole: Tensor = apart.reshape(y.shape[0], 6, y.shape[3], y.shape[2])
            return whole

    before = graph_of(Turned())
    assert format_graph(find_shuffles(before)) == format_graph(before)


def test_a_shuffle_whose_middle_somebody_reads_stays_spelled_out() -> None:
    class Read(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.conv(x)
            apart = y.view(y.shape[0], 2, 3, *y.shape[2:])
            return apart.transpose(1, 2).reshape(y.shape), torch.relu(apart)

    before = graph_of(Read())
    assert format_graph(find_shuffles(before)) == format_graph(before)
