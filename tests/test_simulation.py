"""A simulation against the two things it stands between: the program, and the float model."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.integers import assert_same_integers
from tests.nets import Islands, MobileNetLike, Residual, images, lowered, run, seeded
from zeropoint.arithmetic.granularity import PerTensor
from zeropoint.capture import capture
from zeropoint.errors import ProgramError
from zeropoint.execute.reference import Reference
from zeropoint.graph.channels_last import channels_last
from zeropoint.graph.graph import Graph
from zeropoint.graph.walk import walk
from zeropoint.observe.min_max import MinMax
from zeropoint.passes import simplify
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.simulation import Simulation, every, none


class Branches(nn.Module):
    """(N, 3, H, W) to a dict of (N, 4) and (N, 8, H / 2, W / 2): concatenation, pools, leaky."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 4, 1)
        self.right = nn.Conv2d(3, 4, 3, padding=1)
        self.leaky = nn.LeakyReLU(0.1)
        self.merge = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = nn.functional.max_pool2d(x, 2)  # of the image, before any layer
        y = torch.cat([self.left(x), torch.relu(self.right(x))], 1)
        z = self.merge(self.leaky(y)).clamp(-0.3, 1.7) + y
        return {"scores": self.fc(torch.relu(z).mean((2, 3))), "maps": z}


class Drawn(nn.Module):
    """(N, 4, 8, 8) to (N, 3): blocks of all kinds in a random order, then a pool and a layer."""

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__()
        self.kinds = kinds
        self.layers = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in kinds)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        for kind, layer in zip(self.kinds, self.layers, strict=True):
            x = BLOCKS[kind](x, layer)
        y: Tensor = self.fc(x.mean((2, 3)))
        return y


BLOCKS: dict[str, Callable[[Tensor, nn.Module], Tensor]] = {
    "plain": lambda x, f: torch.relu(f(x)),
    "linear": lambda x, f: f(x),
    "bounded": lambda x, f: nn.functional.relu6(f(x)),
    "residual": lambda x, f: torch.relu(f(x) + x),
    "sum": lambda x, f: torch.relu(f(x)) + x,
    "island": lambda x, f: nn.functional.group_norm(f(x), 2),
    "function": lambda x, f: nn.functional.silu(f(x)),
    "gated": lambda x, f: f(x) * torch.sigmoid(x),
    "pooled": lambda x, f: nn.functional.max_pool2d(f(x), 3, 1, 1),
    "averaged": lambda x, f: nn.functional.avg_pool2d(f(x), 3, 1, 1),
    "joined": lambda x, f: torch.cat([f(x)[:, :2], x[:, 2:]], 1),
    "twice": lambda x, f: f(torch.relu(f(x))),
}

RECIPES = (
    Recipe(),
    Recipe(activations=TensorSpec(bits=4, symmetric=True, calibrator=MinMax())),
    Recipe(weights=TensorSpec(bits=5, symmetric=True, granularity=PerTensor())),
)


def simulated(model: nn.Module, x: Tensor, recipe: Recipe | None = None) -> Simulation:
    graph = simplify(capture(model, (x,)))
    return Simulation(channels_last(graph), lowered(graph, x, recipe=recipe))


@pytest.mark.parametrize("net", [Residual, MobileNetLike, Islands, Branches])
@pytest.mark.parametrize("recipe", RECIPES, ids=["default", "4 bits", "per tensor"])
def test_with_all_units_on_the_integers_are_the_programs(
    net: Callable[[], nn.Module], recipe: Recipe
) -> None:
    x = images(8)
    assert_same_integers(simulated(seeded(net()), x, recipe), x)


@settings(max_examples=12)
@given(
    st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=4),
    st.sampled_from(RECIPES),
    st.integers(0, 1000),
)
def test_so_they_are_in_networks_drawn_at_random(
    kinds: list[str], recipe: Recipe, seed: int
) -> None:
    x = images(8, channels=4, seed=seed)
    assert_same_integers(simulated(seeded(Drawn(kinds), seed=seed), x, recipe), x)


# --- as a whole ----------------------------------------------------------------------------------


@pytest.mark.parametrize("net", [Residual, MobileNetLike, Islands, Branches])
def test_with_all_units_on_the_outputs_are_the_programs(net: Callable[[], nn.Module]) -> None:
    x = images(8)
    simulation = simulated(seeded(net()), x)
    with torch.no_grad():
        found = walk(simulation.graph, [x], kernel=simulation.kernel(every))
    for real, expected in zip(found, Reference(simulation.program).run([x]), strict=True):
        assert (real - expected).abs().max() <= 0.02 * expected.abs().max()


@pytest.mark.parametrize("net", [Residual, MobileNetLike, Islands, Branches])
def test_with_all_units_off_it_is_exactly_the_float_walk(net: Callable[[], nn.Module]) -> None:
    x = images(4)
    simulation = simulated(seeded(net()), x)
    with torch.no_grad():
        found = walk(simulation.graph, [x], kernel=simulation.kernel(none))
    for real, expected in zip(found, run(simulation.graph, x), strict=True):
        assert torch.equal(real, expected)


def test_one_unit_alone_changes_nothing_before_it() -> None:
    x = images(4)
    simulation = simulated(seeded(Residual()), x)
    for unit in simulation.units:
        changed: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        kernel = simulation.kernel(unit.value.__eq__)
        with torch.no_grad():
            walk(simulation.graph, [x], kernel=kernel, listener=changed.__setitem__)
            walk(simulation.graph, [x], listener=expected.__setitem__)
        for node in simulation.graph.nodes[: unit.start]:
            assert torch.equal(changed[node.output], expected[node.output])
        name = simulation.graph.nodes[unit.start].output
        assert unit.is_fence or not torch.equal(changed[name], expected[name])


def test_units_are_in_the_order_in_which_they_act() -> None:
    simulation = simulated(seeded(Islands()), images())
    names = [(unit.value, unit.is_fence, unit.start) for unit in simulation.units]
    places = {node.output: index for index, node in enumerate(simulation.graph.nodes)}
    layers = [node.output for node in simulation.graph.nodes if simulation.runs_in_integers(node)]
    assert names[0] == (simulation.graph.inputs[0], True, 0)
    assert [start for *_, start in names] == sorted(start for *_, start in names)
    assert [name for name, is_fence, _ in names if not is_fence] == layers
    for name, is_fence, start in names[1:]:
        assert start == places[name] + is_fence


def test_fences_are_the_float_values_that_integers_read() -> None:
    simulation = simulated(seeded(Islands()), images())
    image, norm = simulation.fences
    assert image == simulation.graph.inputs[0]
    assert simulation.graph.producers[norm].origin.layer == "norm"
    assert simulation.grid(norm) == simulation.fences[norm]


def test_what_only_moves_codes_is_no_unit_and_follows_its_source() -> None:
    """A max pool is on the grid of the convolution before it: on with it, and off with it."""
    x = images(channels=4)
    simulation = simulated(seeded(Drawn(["pooled", "plain"])), x)
    conv, pool = (node.output for node in simulation.graph.nodes[:2])
    assert simulation.sources[pool] == conv
    assert pool not in {unit.value for unit in simulation.units}
    kernels = (simulation.kernel(name.__ne__) for name in (conv, "nothing"))
    values: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    with torch.no_grad():
        for seen, kernel in zip(values, kernels, strict=True):
            walk(simulation.graph, [x], kernel=kernel, listener=seen.__setitem__)
    for seen in values:
        assert torch.equal(seen[pool], nn.functional.max_pool2d(seen[conv], 3, 1, 1))
    assert not torch.equal(values[0][pool], values[1][pool])


def test_accumulators_are_not_narrowed() -> None:
    simulation = simulated(seeded(Residual()), images())
    assert simulation.grid(simulation.graph.outputs[0]) is None


# --- programs of other models ------------------------------------------------------------------


def graph_of(model: nn.Module) -> Graph:
    return simplify(capture(seeded(model), (images(),)))


def refusal(model: nn.Module, graph: Graph) -> str:
    """What Simulation says to the program of one model with the graph of another."""
    program = lowered(graph_of(model), images())
    with pytest.raises(ProgramError) as raised:
        Simulation(graph, program)
    start, _, rest = str(raised.value).partition(": ")
    different, _, advice = rest.partition("; ")
    assert start == "the program is not made of this model"
    assert advice == "pass the model that was quantized, with the weights it had then"
    return different


def test_a_program_of_another_architecture_is_refused() -> None:
    different = refusal(Residual(), graph_of(MobileNetLike()))
    assert different.startswith("'relu' is the result of Conv2d(stride=(1, 1)")
    assert different.endswith(", and the model has no such value")


def test_a_program_of_other_weights_is_refused() -> None:
    graph = simplify(capture(seeded(Residual(), seed=1), (images(),)))
    assert "of its grid from the model's" in refusal(Residual(), graph)


def test_a_program_with_another_activation_is_refused() -> None:
    class Net(nn.Module):
        def __init__(self, act: nn.Module) -> None:
            super().__init__()
            self.conv1, self.act, self.conv2 = nn.Conv2d(3, 4, 1), act, nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv2(self.act(self.conv1(x)))
            return y

    different = refusal(Net(nn.ReLU()), graph_of(Net(nn.ReLU6())))
    assert "is the result of Conv2d(" in different
    assert "high=6.0" in different


def test_weights_learned_to_round_the_other_way_are_the_models() -> None:
    """AdaRound rounds up what is nearer to the step below: up to one step away, not half."""
    graph = graph_of(Residual())
    program = lowered(graph, images())
    name = next(n for n, t in program.graph.constants.items() if t.dtype == torch.int8)
    program.graph.constants[name].clamp_(max=126).add_(1)
    Simulation(graph, program)
    program.graph.constants[name].clamp_(max=125).add_(2)
    with pytest.raises(ProgramError, match=re.escape(f"numbers of {name!r} lie up to 3 steps")):
        Simulation(graph, program)


def test_other_numbers_in_an_island_are_told() -> None:
    class Net(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.register_buffer("factor", torch.tensor([factor]))

        def forward(self, x: Tensor) -> Tensor:
            return torch.fmod(self.conv(x), self.get_buffer("factor"))

    assert refusal(Net(1.0), graph_of(Net(2.0))) == "'factor' has other numbers than in the model"
