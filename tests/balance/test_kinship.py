"""Which channels are of one family, and which are not scaled."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import images, seeded
from zeropoint.arithmetic.granularity import PerTensor
from zeropoint.balance.kinship import FIXED, families, is_open
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph
from zeropoint.passes import simplify
from zeropoint.recipe import Recipe, TensorSpec

Forward = Callable[["Layers", Tensor], Tensor]

PER_TENSOR = TensorSpec(symmetric=True, granularity=PerTensor())
FOUR_BITS = TensorSpec(bits=4, symmetric=True)

CONSTANT = images(1, 4)


class Layers(nn.Module):
    """Layers `a` and `b` of four channels, a `gate`, and `last`, which reads what `forward` makes.

    Channels of `a` and `b` are scaled if `between` lets factors pass.
    """

    def __init__(self, between: Forward, last: nn.Module | None = None) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.gate = nn.Conv2d(3, 4, 1)
        self.last = last or nn.Conv2d(4, 2, 1)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.between(self, x))
        return y


def of_layers(
    between: Forward, last: nn.Module | None = None, recipe: Recipe | None = None
) -> tuple[Graph, dict[str, list[int]]]:
    """The graph, and the families of what `a`, `b` and `gate` write, by the layers' names."""
    graph = simplify(capture(seeded(Layers(between, last)), (images(),)))
    found = families(graph, (images(1),), recipe or Recipe())
    by_layer: dict[str, list[int]] = {}
    for node in graph.nodes:
        by_layer.setdefault(node.origin.layer, found[node.output].tolist())
    return graph, by_layer


def scaled(between: Forward, last: nn.Module | None = None, recipe: Recipe | None = None) -> bool:
    """True if all channels of `a` are scaled, each by itself; False if none is."""
    _, found = of_layers(between, last, recipe)
    channels = found["a"]
    assert len(channels) == 4
    assert len(set(channels)) == 4 or set(channels) == {FIXED}
    return set(channels) != {FIXED}


PASSES: dict[str, Forward] = {
    "nothing": lambda m, x: m.a(x),
    "relu": lambda m, x: m.a(x).relu(),
    "relu6": lambda m, x: F.relu6(m.a(x)),
    "leaky relu": lambda m, x: F.leaky_relu(m.a(x), 0.1),
    "negative part": lambda m, x: m.a(x).clamp(max=0.0),
    "absolute": lambda m, x: m.a(x).abs(),
    "a number times": lambda m, x: 3.0 * m.a(x),
    "max pool": lambda m, x: F.max_pool2d(m.a(x), 2),
    "average pool": lambda m, x: F.avg_pool2d(m.a(x), 3, padding=1),
    "global pool": lambda m, x: m.a(x).mean((2, 3), keepdim=True),
    "nearest": lambda m, x: F.interpolate(m.a(x), scale_factor=2.0),
    "bilinear": lambda m, x: F.interpolate(m.a(x), scale_factor=2.0, mode="bilinear"),
    "zeros around": lambda m, x: F.pad(m.a(x), (1, 2, 3, 4)),
    "reflection": lambda m, x: F.pad(m.a(x), (1, 1, 1, 1), mode="reflect"),
    "gate": lambda m, x: m.a(x) * m.gate(x).mean((2, 3), keepdim=True).sigmoid(),
}
STOPS: dict[str, Forward] = {
    "silu": lambda m, x: F.silu(m.a(x)),
    "sigmoid": lambda m, x: m.a(x).relu().sigmoid(),
    "a number more": lambda m, x: m.a(x).relu() + 1.0,
    "softmax": lambda m, x: m.a(x).softmax(1),
    "group norm": lambda m, x: F.group_norm(m.a(x), 2),
    "bounds without zero": lambda m, x: m.a(x).clamp(1.0, 2.0),
    "ones around": lambda m, x: F.pad(m.a(x), (1, 1, 1, 1), value=1.0),
    "square": lambda m, x: m.a(x) * m.a(x),
    "mean over channels": lambda m, x: m.a(x) - m.a(x).mean(1, keepdim=True),
    "greatest channel": lambda m, x: m.a(x).amax(1, keepdim=True).expand(-1, 4, -1, -1),
    "constants": lambda m, x: m.a(x).relu() + CONSTANT,
}


@pytest.mark.parametrize("name", PASSES)
def test_factors_pass_through(name: str) -> None:
    assert scaled(PASSES[name])


@pytest.mark.parametrize("name", STOPS)
def test_factors_stop_at(name: str) -> None:
    assert not scaled(STOPS[name])


def test_what_is_added_is_kin() -> None:
    _, found = of_layers(lambda m, x: m.a(x) + m.b(x).relu())
    assert found["a"] == found["b"]
    assert len(set(found["a"])) == 4


def test_one_that_is_not_scaled_fixes_its_kin() -> None:
    _, found = of_layers(lambda m, x: m.a(x) + F.silu(m.b(x)))
    assert found["a"] == found["b"] == [FIXED] * 4


def test_channels_keep_their_families_where_they_go() -> None:
    def shuffled(m: Layers, x: Tensor) -> Tensor:
        y = torch.cat([m.a(x), F.silu(m.b(x))], 1)
        return F.channel_shuffle(y, 2)[:, 2:6]

    graph, found = of_layers(shuffled)
    reads = families(graph, (images(1),), Recipe())[graph.nodes[-1].inputs[0]].tolist()
    a = found["a"]
    assert reads == [a[1], FIXED, a[2], FIXED]


def test_padded_channels_are_free() -> None:
    graph, found = of_layers(
        lambda m, x: F.pad(m.a(x), (0, 0, 0, 0, 1, 1)) + F.pad(m.b(x), (0, 0, 0, 0, 2, 0)),
        nn.Conv2d(6, 2, 1),
    )
    reads = families(graph, (images(1),), Recipe())[graph.nodes[-1].inputs[0]].tolist()
    assert reads[1:5] == found["a"]
    assert reads[2:] == found["b"]
    assert len({*reads}) == 6
    assert FIXED not in reads


def test_channels_that_end_in_one_are_kin() -> None:
    _, found = of_layers(lambda m, x: F.pixel_shuffle(m.a(x), 2), nn.Conv2d(1, 2, 1))
    assert len(set(found["a"])) == 1
    assert FIXED not in found["a"]
    _, found = of_layers(lambda m, x: m.a(x).transpose(1, 2)[:, :4])
    assert len(set(found["a"])) == 1


def test_a_flattened_channel_is_still_one() -> None:
    last = nn.Linear(4 * 8 * 8, 2)
    graph, found = of_layers(lambda m, x: m.a(x).relu().flatten(1), last)
    reads = families(graph, (images(1),), Recipe())[graph.nodes[-1].inputs[0]]
    assert reads.reshape(4, 64).tolist() == [[family] * 64 for family in found["a"]]


def test_inputs_and_outputs_stay() -> None:
    graph, found = of_layers(lambda m, x: m.a(x))
    kin = families(graph, (images(1),), Recipe())
    assert kin[graph.inputs[0]].tolist() == [FIXED] * 3
    assert found["last"] == [FIXED] * 2


def test_layers_that_share_a_weight_stay() -> None:
    assert not scaled(lambda m, x: m.a(x) + F.relu(m.a(2 * x)))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(equalize=False),
        Recipe(weights=PER_TENSOR),
        Recipe(weights=FOUR_BITS),
        Recipe(overrides={"a": None}),
        Recipe(overrides={"last": None}),
        Recipe(overrides={"a": Recipe(equalize=False)}),
    ],
)
def test_a_layer_that_may_not_be_changed_or_would_lose_by_it_stays(recipe: Recipe) -> None:
    assert not scaled(lambda m, x: m.a(x), recipe=recipe)


def test_bounds_are_open_with_zero_within() -> None:
    assert is_open(None, None)
    assert is_open(0.0, 6.0)
    assert is_open(-1.0, 1.0)
    assert not is_open(1.0, None)
    assert not is_open(None, -1.0)
