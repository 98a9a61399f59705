import pytest
import torch
from torch import Tensor, nn

from tests.nets import assert_same_function, images, seeded
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph
from zeropoint.graph.text import format_graph
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.passes import simplify
from zeropoint.passes.fuse_function import fuse_function, fuse_last_function


class Net(nn.Module):
    """A function behind a convolution, one behind a linear layer, and one at the end."""

    def __init__(self, first: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.conv, self.first = nn.Conv2d(3, 4, 3), first
        self.fc, self.last = nn.Linear(4, 5), last

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.conv(x)).mean((2, 3))
        z: Tensor = self.last(self.fc(y))
        return z


def fused(model: nn.Module) -> Graph:
    before = capture(seeded(model), (images(),))
    after = fuse_function(before)
    assert_same_function(before, after, [images()], 1e-6)
    return after


AFTER = """\
graph(%x: f32[N,3,H,W]) {
  %conv.weight: f32[4,3,3,3] = constant
  %conv.bias: f32[4] = constant
  %fc.weight: f32[5,4] = constant
  %fc.bias: f32[5] = constant
  %first: f32[N,4,?,?] = conv2d(%x, %conv.weight, %conv.bias) {function=(('silu', 'x'),)}  # conv
  %mean: f32[N,4] = global_average_pool(%first) {keep=False}
  %last: f32[N,5] = linear(%mean, %fc.weight, %fc.bias) {function=(('exp', 'x'),)}  # fc
  return %last
}"""


class Exp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.exp()


def test_functions_go_into_the_layers_before_them() -> None:
    assert format_graph(fused(Net(nn.SiLU(), Exp()))) == AFTER


def test_only_the_last_function_is_applied_to_real_numbers_everywhere() -> None:
    before = capture(seeded(Net(nn.SiLU(), nn.Sigmoid())), (images(),))
    after = fuse_last_function(before)
    kinds = [node.op.name for node in after.nodes]
    assert kinds == ["conv2d", "table", "global_average_pool", "linear"]
    assert_same_function(before, after, [images()], 1e-6)
    assert after == simplify(before, fuse_functions=False)


def test_a_function_that_may_be_infinite_stays_an_operator() -> None:
    kinds = [node.op.name for node in fused(Net(Exp(), nn.Identity())).nodes]
    assert kinds == ["conv2d", "table", "global_average_pool", "linear"]


def test_bounds_become_the_first_step() -> None:
    class Squared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.conv(x)).square().mean((2, 3))

    before = capture(seeded(Squared()), (images(),))
    after = simplify(before)
    steps = (("clamp", "x", 0.0, None), ("square", "x1"))
    assert after.nodes[0].op == Conv2d(function=steps)
    assert_same_function(before, after, [images()], 1e-6)


def test_the_sum_with_an_addend_has_a_function_too() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.silu(x + self.conv(x)).mean((2, 3))

    before = capture(seeded(Residual()), (images(),))
    after = simplify(before)
    assert after.nodes[0].op == Conv2d(padding=(1, 1), function=(("silu", "x"),))
    assert len(after.nodes[0].inputs) == 4
    assert_same_function(before, after, [images()], 1e-6)


@pytest.mark.parametrize("outside", [False, True])
def test_a_layer_that_something_else_reads_keeps_its_result(outside: bool) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.fc(x)
            return y.tanh(), y if outside else y.relu()

    graph = fuse_function(capture(Twice(), (torch.randn(2, 4),)))
    assert any(node.op == Linear() for node in graph.nodes)


def test_a_layer_has_one_function() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.SiLU(), nn.Conv2d(4, 4, 1))
    graph = fused(model)
    assert fuse_function(graph) == graph
