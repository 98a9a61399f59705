import pytest
import torch
from torch import Tensor, nn

from tests.nets import run
from zeropoint.capture import capture
from zeropoint.graph.build import float_graph
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.functions import Steps
from zeropoint.ops.prelu import prelu
from zeropoint.ops.table import Table
from zeropoint.passes import simplify


class Net(nn.Module):
    def __init__(self, slopes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.act = nn.PReLU(slopes)
        self.act.weight.data.uniform_(-0.5, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.conv(x))
        return y


def test_one_slope_is_a_leaky_relu() -> None:
    model, x = Net(1), torch.randn(2, 3, 6, 6)
    graph = capture(model, (x,))
    steps: Steps = (("leaky_relu", "x", model.act.weight.item()),)
    assert graph.nodes[-1].op == Table(steps)
    torch.testing.assert_close(run(graph, x)[0], model(x))


def test_a_slope_for_each_channel_is_a_depthwise_convolution_onto_what_it_reads() -> None:
    model, x = Net(4), torch.randn(2, 3, 6, 6)
    graph = capture(model, (x,))
    assert [node.op.name for node in graph.nodes] == ["conv2d", "clamp", "mul", "add"]
    torch.testing.assert_close(run(graph, x)[0], model(x))
    simple = simplify(graph)
    assert [node.op.name for node in simple.nodes] == ["conv2d", "clamp", "conv2d"]
    last = simple.nodes[-1]
    assert last.op == Conv2d(groups=4)
    assert last.inputs[3] == simple.nodes[0].output
    torch.testing.assert_close(run(simple, x)[0], model(x))


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 7)])
def test_slopes_are_along_the_channels_of_vectors_and_rows_too(shape: tuple[int, ...]) -> None:
    model, x = nn.PReLU(4), torch.randn(shape)
    model.weight.data.uniform_(-0.5, 0.5)
    torch.testing.assert_close(run(simplify(capture(model, (x,))), x)[0], model(x))


def test_computed_slopes_say_so() -> None:
    to, x = float_graph(("N", 3))
    slopes = to.input("w", (3,))
    assert prelu(to, x.shape, x, slopes) == "its slopes are computed at run time"
