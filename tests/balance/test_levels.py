import torch
from torch import Tensor, nn

from tests.nets import MobileNetLike, Residual, assert_same_function, images, run, seeded
from zeropoint.balance.levels import LEAST, SHARE, levels_of
from zeropoint.batches import Inputs
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph
from zeropoint.graph.walk import walk
from zeropoint.passes import simplify
from zeropoint.passes.equalize import OCTAVE, equalize
from zeropoint.recipe import Recipe

SIZES = torch.tensor([8.0, 4.0, 1.0, 0.001])


class Uneven(nn.Module):
    """Channels that are as large as SIZES, then a last one that is dead, between two layers."""

    def __init__(self, bound: float | None = None) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 5, 1, bias=False)
        self.first.weight.data = torch.cat([SIZES, torch.zeros(1)]).reshape(5, 1, 1, 1)
        self.last = nn.Conv2d(5, 2, 3)
        self.bound = bound

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.first(x).clamp(0.0, self.bound))
        return y


def found(model: nn.Module, x: Tensor) -> tuple[Graph, dict[str, Tensor]]:
    graph = simplify(capture(model, (x,)))
    return graph, dict(levels_of(graph, (x[:1],), [(x,)], Recipe()))


def sizes(graph: Graph, *inputs: Inputs) -> dict[str, Tensor]:
    """The largest magnitude of each channel."""
    seen: dict[str, Tensor] = {}

    def listen(name: str, x: Tensor) -> None:
        seen[name] = torch.maximum(seen.get(name, torch.zeros(())), x.abs().amax((0, 2, 3)))

    for batch in inputs:
        walk(graph, batch, listener=listen)
    return seen


def test_levels_are_a_share_of_the_octaves_below_the_largest_channel() -> None:
    graph, levels = found(Uneven(), torch.ones(1, 1, 4, 4))
    (name,) = levels
    assert name == graph.nodes[0].output
    expected = [
        0,
        OCTAVE * SHARE * 1,
        OCTAVE * SHARE * 3,
        -OCTAVE * SHARE * torch.tensor(LEAST).log2(),
        0,
    ]
    assert levels[name].tolist() == expected
    assert levels[name].dtype == torch.uint8


def test_the_largest_of_all_batches_counts() -> None:
    model, x = Uneven(), torch.ones(1, 1, 4, 4)
    graph = simplify(capture(model, (x,)))
    at_once = levels_of(graph, (x,), [(x,)], Recipe())
    in_parts = levels_of(graph, (x,), [(x / 4,), (x,), (x / 2,)], Recipe())
    assert [level.tolist() for level in at_once.values()] == [
        level.tolist() for level in in_parts.values()
    ]


def test_no_channel_is_cut_off_where_it_was_seen() -> None:
    x = torch.ones(1, 1, 4, 4)
    graph, levels = found(Uneven(bound=6.0), x)
    scaled = equalize(graph, levels)
    assert any(bool(level.any()) for level in levels.values())
    assert_same_function(graph, scaled, [x], 1e-6)


def test_real_networks_keep_their_function_and_their_channels_come_together() -> None:
    for net in (Residual(), MobileNetLike()):
        x = images(16)
        graph, levels = found(seeded(net), x)
        scaled = equalize(graph, levels)
        assert_same_function(graph, scaled, [x], 1e-5)
        before, after = sizes_of_values(graph, x, levels), sizes_of_values(scaled, x, levels)
        assert len(levels) > 3
        assert after.mean() > before.mean()


def sizes_of_values(graph: Graph, x: Tensor, names: dict[str, Tensor]) -> Tensor:
    """How large channels are beside the largest of their value, in the geometric mean."""
    shares = []

    def listen(name: str, value: Tensor) -> None:
        if name in names:
            size = value.transpose(0, 1).flatten(1).abs().amax(1)
            shares.append((size[size > 0] / size.max()).log().mean())

    walk(graph, (x,), listener=listen)
    return torch.stack(shares).exp()


def test_nothing_is_looked_at_where_nothing_may_be_scaled() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Conv2d(4, 2, 3))
    graph = simplify(capture(seeded(model), (images(),)))

    def unread() -> Inputs:
        raise AssertionError("no image is needed")

    assert levels_of(graph, (images(1),), (unread() for _ in range(1)), Recipe()) == {}
    (y,) = run(graph, images())
    assert y.isfinite().all()
