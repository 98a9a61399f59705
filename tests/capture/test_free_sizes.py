from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import images, seeded
from zeropoint.capture import capture
from zeropoint.execute.reference import Reference
from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import find
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pool import AveragePool2d, GlobalAveragePool, MaxPool1d
from zeropoint.ops.reduce import Amax, Mean
from zeropoint.pipeline import quantize


class Behind(nn.Module):
    """`function` of a convolution's output."""

    def __init__(self, function: Callable[[Tensor], Tensor], rank: int = 4) -> None:
        super().__init__()
        self.conv = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}[rank](3, 4, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


def captured(function: Callable[[Tensor], Tensor], x: Tensor) -> Graph:
    return capture(seeded(Behind(function, x.ndim)), (x,))


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda y: F.max_pool1d(y, 2), MaxPool1d((2,), (2,), (0,), (1,), False)),
        (lambda y: torch.max_pool1d(y, [3], 1, 1), MaxPool1d((3,), (1,), (1,), (1,), False)),
        (nn.MaxPool1d(3, 2, dilation=2, ceil_mode=True), MaxPool1d((3,), (2,), (0,), (2,), True)),
    ],
)
def test_the_pool_of_a_line_leaves_its_length_free(
    function: Callable[[Tensor], Tensor], op: MaxPool1d
) -> None:
    graph = captured(function, torch.randn(2, 3, 10))
    assert graph.values["x"].shape == ("N", 3, "L")
    assert [found for _, found in find(graph, MaxPool1d)] == [op]
    assert not find(graph, Opaque)


@pytest.mark.parametrize(
    ("function", "sizes", "op"),
    [
        (lambda y: F.avg_pool2d(y, y.shape[2:]), (8, 8), GlobalAveragePool()),
        (
            lambda y: F.avg_pool2d(y, kernel_size=y.size()[-2:], stride=1),
            (8, 8),
            GlobalAveragePool(),
        ),
        (lambda y: F.avg_pool1d(y, y.size(2)), (9,), Mean((2,), keep=True)),
        (lambda y: F.avg_pool3d(y, y.shape[2:]), (3, 4, 5), Mean((2, 3, 4), keep=True)),
        (lambda y: F.max_pool2d(y, y.shape[2:]), (8, 8), Amax((2, 3), keep=True)),
        (lambda y: F.max_pool1d(y, y.shape[2]), (9,), Amax((2,), keep=True)),
    ],
)
def test_a_window_as_large_as_the_image_is_that_of_any_image(
    function: Callable[[Tensor], Tensor], sizes: tuple[int, ...], op: object
) -> None:
    graph = captured(function, torch.randn(2, 3, *sizes))
    assert all(isinstance(size, str) for size in graph.values["x"].shape[2:])
    assert graph.nodes[-1].op == op


@pytest.mark.filterwarnings("ignore:the model fixes")
def test_another_window_is_what_it_says() -> None:
    x = images(2, size=8)
    graph = captured(lambda y: F.avg_pool2d(y, y.shape[2:], padding=1), x)
    ((_, op),) = find(graph, AveragePool2d)
    assert (op.kernel, op.padding) == ((8, 8), (1, 1))
    graph = captured(lambda y: F.avg_pool2d(y, y.shape[2:], divisor_override=3), x)
    assert find(graph, Opaque)
    # Height and width of the example are equal, those of other images need not be.
    graph = captured(lambda y: F.avg_pool2d(y, y.shape[2]), x)
    assert graph.values["x"].shape == ("N", 3, 8, 8)


@pytest.mark.parametrize(
    "function",
    [lambda y: y[:, :, : int(y.shape[2] * 0.75)], lambda y: y[:, :, : int(y.shape[2] / 2)]],
)
def test_a_size_that_becomes_a_number_on_its_way_fixes_those_of_the_image(
    function: Callable[[Tensor], Tensor],
) -> None:
    """torch leaves them free and puts the number into the graph."""
    with pytest.warns(UserWarning, match="fixes the height and the width of its input 'x'"):
        graph = captured(function, images(2, size=8))
    assert graph.values["x"].shape == ("N", 3, 8, 8)


def test_indices_of_maxima_are_torchs_own() -> None:
    graph = captured(lambda y: F.max_pool1d(y, 2, return_indices=True)[1], torch.randn(2, 3, 8))
    ((_, island),) = find(graph, Opaque)
    assert island.target.startswith("aten.max_pool1d_with_indices")


def test_a_network_of_lines_runs_at_every_length() -> None:
    net = seeded(nn.Sequential(nn.Conv1d(3, 4, 3), nn.MaxPool1d(2), nn.Conv1d(4, 2, 1)))
    x = torch.randn(4, 3, 20)
    model = quantize(net, [x])
    longer = torch.randn(2, 3, 31)
    (y,) = Reference(model.program).run([longer])
    assert y.shape == net(longer).shape
    assert model(longer).shape == y.shape
