import torch
from torch import Tensor, nn

from tests.nets import images, lowered, seeded
from zeropoint.assign import assign
from zeropoint.calibrate import calibrate, observe
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import find
from zeropoint.ops.concat import Concat
from zeropoint.passes import simplify
from zeropoint.plan import Own, Shared
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.target import REFERENCE
from zeropoint.ties import ties

X = images(4, size=8)


class Split(nn.Module):
    """Two convolutions, joined; the first, times `factor`, is read by a third as well."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(3, 4, 1) for _ in range(3))
        self.d, self.last = nn.Conv2d(4, 4, 1), nn.Conv2d(8, 4, 1)
        self.factor = factor

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = torch.relu(self.a(x)) * self.factor, torch.relu(self.b(x))
        y: Tensor = self.last(torch.cat([a, b], 1))
        return y, self.d(a)


def graph_of(factor: float) -> Graph:
    return simplify(capture(seeded(Split(factor)), (X,)))


def part(graph: Graph) -> str:
    """The part that two read."""
    ((node, _),) = find(graph, Concat)
    return node.inputs[0]


def test_a_part_whose_grid_is_nearly_that_of_the_whole_takes_it() -> None:
    graph = graph_of(3.0)
    plan = calibrate(graph, [(X,)], Recipe(), REFERENCE)
    ((node, _),) = find(graph, Concat)
    entry = plan.entries[part(graph)]
    assert isinstance(entry, Shared)
    assert entry.source == node.output
    program = lowered(graph, X)
    ((concat, _),) = find(program.graph, Concat)
    grids = [program.graph.values[name].params for name in (*concat.inputs, concat.output)]
    assert grids[0] == grids[1] == grids[2], "nothing is requantized"


def test_a_part_that_would_lose_by_it_keeps_its_own() -> None:
    graph = graph_of(0.2)
    plan = calibrate(graph, [(X,)], Recipe(), REFERENCE)
    assert isinstance(plan.entries[part(graph)], Own)


def test_a_part_with_another_specification_keeps_its_own() -> None:
    graph = graph_of(3.0)
    recipe = Recipe(overrides={"a": Recipe(activations=TensorSpec(bits=7))})
    plan = calibrate(graph, [(X,)], recipe, REFERENCE)
    assert isinstance(plan.entries[part(graph)], Own)


def test_concatenations_in_a_row_are_one_grid_if_they_may() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Conv2d(3 + 4 * i, 4, 1) for i in range(3)])

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.cat([x, torch.tanh(layer(x))], 1)
            return torch.max_pool2d(x, 2)

    graph = simplify(capture(seeded(Dense()), (X,)))
    assignment = assign(graph, Recipe(), REFERENCE)
    observations = observe(graph, [(X,)], assignment.own)
    plan = calibrate(graph, [(X,)], Recipe(), REFERENCE)
    grids = {name: entry.params for name, entry in plan.entries.items() if isinstance(entry, Own)}
    joined = [node.output for node, _ in find(graph, Concat)]
    full = {**grids, **{name: plan.entries[name].params for name in assignment.own}}
    found = ties(graph, assignment, observations, full)
    assert set(joined[:-1]) <= found.keys()
    assert plan.params(joined[0]) == plan.params(joined[1]) == plan.params(joined[2])
