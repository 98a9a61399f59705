import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.nets import assert_same_function, images, run, seeded
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph
from zeropoint.passes import simplify
from zeropoint.passes.equalize import OCTAVE, equalize, factors

CHANNELS = 8


class Chain(nn.Module):
    """Two layers, the second of the kind that is tested, behind what a factor passes through."""

    def __init__(self, second: nn.Module) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, CHANNELS, 3)
        self.second = second

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x).relu())
        return y


SECONDS = {
    "dense": nn.Conv2d(CHANNELS, 4, 3),
    "grouped": nn.Conv2d(CHANNELS, 4, 3, groups=2),
    "depthwise": nn.Conv2d(CHANNELS, CHANNELS, 3, groups=CHANNELS),
    "transposed": nn.ConvTranspose2d(CHANNELS, 4, 2, stride=2, groups=2),
    "linear": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 4)),
}


def graph_of(second: str) -> tuple[Graph, list[str]]:
    """A graph, and the names of the value that is between its layers, and of what it becomes."""
    graph = simplify(capture(seeded(Chain(SECONDS[second])), (images(),)))
    first, *_, last = graph.nodes
    return graph, [first.output, last.inputs[0]]


levels = st.lists(st.integers(0, 40), min_size=CHANNELS, max_size=CHANNELS)


@pytest.mark.parametrize("second", SECONDS)
@given(level=levels)
@settings(max_examples=10, deadline=None)
def test_the_function_stays_for_any_levels(second: str, level: list[int]) -> None:
    graph, names = graph_of(second)
    scaled = equalize(graph, dict.fromkeys(names, torch.tensor(level, dtype=torch.uint8)))
    assert_same_function(graph, scaled, [images()], 1e-5)


@pytest.mark.parametrize("second", SECONDS)
@given(octaves=levels)
@settings(max_examples=10, deadline=None)
def test_whole_octaves_change_no_bit(second: str, octaves: list[int]) -> None:
    graph, names = graph_of(second)
    level = torch.tensor([OCTAVE * (octave % 6) for octave in octaves], dtype=torch.uint8)
    scaled = equalize(graph, dict.fromkeys(names, level))
    (expected,), (found,) = run(graph, images()), run(scaled, images())
    assert torch.equal(expected, found)


def test_a_channel_is_divided_by_its_factor() -> None:
    graph, (name, _) = graph_of("dense")
    level = torch.arange(CHANNELS, dtype=torch.uint8)
    scaled = equalize(graph, {name: level})
    weight, bias = graph.nodes[0].inputs[1:]
    for constant in (weight, bias):
        ratio = graph.constants[constant] / scaled.constants[constant]
        expected = 2.0 ** (-level.float() / 8)
        assert torch.allclose(ratio.reshape(CHANNELS, -1), expected[:, None], rtol=1e-6)
    assert torch.equal(factors(torch.tensor([0, 8, 16])), torch.tensor([1.0, 0.5, 0.25]).double())


def test_what_has_no_levels_is_shared_with_the_graph_before() -> None:
    graph, names = graph_of("dense")
    before = {name: tensor.clone() for name, tensor in graph.constants.items()}
    scaled = equalize(graph, dict.fromkeys(names, torch.ones(CHANNELS, dtype=torch.uint8)))
    assert all(torch.equal(graph.constants[name], before[name]) for name in before)
    last = graph.nodes[-1].inputs[2]
    assert scaled.constants[last] is graph.constants[last]
    assert equalize(graph, {}).constants == graph.constants
