"""What a graph cannot hold is refused by name; what only looks like it is not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import images, run
from zeropoint.capture import capture
from zeropoint.errors import CaptureError

CLOCK = [0.0]


class Net(nn.Module):
    """A convolution, and a function of it that may look at the module."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("average", torch.zeros(4))
        self.register_buffer("line", torch.zeros(4))
        self.step = 1
        self.cache: Tensor | None = None
        self.seen: list[int] = []
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.function(self, self.conv(x))
        return y


def running_average(net: Any, y: Any) -> Any:
    net.average.mul_(0.9).add_(y.mean((0, 2, 3)), alpha=0.1)
    return y - net.average[:, None, None]


def replaced_buffer(net: Any, y: Any) -> Any:
    before, net.line = net.line, y.mean((0, 2, 3))
    return y + before[:, None, None]


def part_of_a_buffer(net: Any, y: Any) -> Any:
    net.line[1:3] += y.mean()
    return y * (1 + net.line[:, None, None])


def slow_average(net: Any, y: Any) -> Any:
    net.average.mul_(1 - 1e-7).add_(y.mean((0, 2, 3)), alpha=1e-7)
    return y - net.average[:, None, None]


def counted(net: Any, y: Any) -> Any:
    net.step += 1
    return y * net.step


def last_frame(net: Any, y: Any) -> Any:
    before = torch.zeros_like(y) if net.cache is None else net.cache
    net.cache = y
    return y + before


def appended(net: Any, y: Any) -> Any:
    net.seen.append(1)
    return y * len(net.seen)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (running_average, "average"),
        (replaced_buffer, "line"),
        (part_of_a_buffer, "line"),
        (slow_average, "average"),
        (counted, "step"),
        (last_frame, "cache"),
        (appended, "seen"),
    ],
)
def test_state_from_call_to_call_is_refused_by_name(
    function: Callable[[Any, Any], Any], name: str
) -> None:
    net = Net(function).eval()
    with pytest.raises(CaptureError, match=rf"keeps state from call to call.*'{name}'"):
        capture(net, (images(),))
    assert (net.step, net.cache, net.seen) == (1, None, [])
    assert not net.get_buffer("average").any()
    assert not net.get_buffer("line").any()


def dropping(net: Any, y: Any) -> Any:
    return F.dropout(y, 0.5, training=True)


def noisy(net: Any, y: Any) -> Any:
    return y + torch.rand_like(y)


def sampled(net: Any, y: Any) -> Any:
    return y * torch.bernoulli(y.sigmoid())


@pytest.mark.parametrize("function", [dropping, noisy, sampled])
def test_chance_is_refused_with_the_line(function: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(CaptureError, match=r"draws random numbers in eval mode \(.*test_behavior"):
        capture(Net(function).eval(), (images(),))


def timed(net: Any, y: Any) -> Any:
    CLOCK[0] += 1.0
    return y * CLOCK[0]


def test_what_is_kept_outside_of_the_model_is_refused() -> None:
    with pytest.raises(CaptureError, match=r"other outputs for the same inputs the next time"):
        capture(Net(timed).eval(), (images(),))


def seen_size(net: Any, y: Any) -> Any:
    net.step = 7
    return y


@pytest.mark.parametrize("function", [seen_size])
def test_attributes_that_change_no_output_refuse_nobody(
    function: Callable[[Any, Any], Any],
) -> None:
    net = Net(function).eval()
    graph = capture(net, (images(),))
    assert net.step == 1
    torch.testing.assert_close(run(graph, images(5))[0], net(images(5)))


class Squeezing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True).squeeze()


def test_a_batch_that_is_squeezed_away_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"of a single sample .* \(1, 3\) where .* \(3,\)"):
        graph = capture(Squeezing(), (images(),))
    torch.testing.assert_close(run(graph, images(5))[0], Squeezing()(images(5)))
