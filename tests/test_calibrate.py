import weakref
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn

from tests.nets import Residual, images, lowered, seeded
from zeropoint.arithmetic.granularity import PerChannel, PerTensor
from zeropoint.arithmetic.integer import INT32, UINT8
from zeropoint.arithmetic.qparams import asymmetric
from zeropoint.assign import assign
from zeropoint.calibrate import calibrate, choose, observe
from zeropoint.capture import capture
from zeropoint.errors import CalibrationError
from zeropoint.execute.reference import Reference
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Graph, Origin
from zeropoint.graph.op import Op
from zeropoint.graph.value import Value
from zeropoint.graph.walk import walk
from zeropoint.observe.calibrator import Calibrator, scalar
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE
from zeropoint.ops.add import Add
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.passes import simplify
from zeropoint.plan import Accumulator, Bias, Own, Plan, Shared
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.target import ONEDNN, REFERENCE

MIN_MAX = Recipe(activations=TensorSpec(calibrator=MinMax()))


@pytest.fixture(scope="module")
def residual() -> Graph:
    return simplify(capture(seeded(Residual()), (images(),)))


def plan_of(graph: Graph, *batches: Tensor, recipe: Recipe = MIN_MAX) -> Plan:
    return calibrate(graph, [(batch,) for batch in batches], recipe, ONEDNN)


def assert_equal(one: Plan, other: Plan) -> None:
    assert one.entries.keys() == other.entries.keys()
    for name in one.entries:
        assert one.params(name) == other.params(name), name


# --- what is observed --------------------------------------------------------------------------


def test_only_the_named_values_are_observed_and_completely(residual: Graph) -> None:
    x = images(5)
    expected: dict[str, Tensor] = {}
    with torch.no_grad():
        walk(residual, [x], listener=lambda name, value: expected.update({name: value}))
    found = observe(residual, [(x[:2],), (x[2:],)], ["x", "fc"])
    assert found.keys() == {"x", "fc"}
    for name, observation in found.items():
        assert observation.total == expected[name].numel()
        assert observation.low == pytest.approx(expected[name].min().item(), abs=1e-5)
        assert observation.high == pytest.approx(expected[name].max().item(), abs=1e-5)


def test_neither_order_nor_cut_of_the_batches_changes_the_plan(residual: Graph) -> None:
    x = images(6)
    whole = plan_of(residual, x, recipe=Recipe())
    assert_equal(plan_of(residual, x.flip(0), recipe=Recipe()), whole)
    assert_equal(plan_of(residual, x[:4], x[4:5], x[5:], recipe=Recipe()), whole)


def test_the_memory_format_of_images_and_weights_changes_nothing() -> None:
    model = seeded(nn.Conv2d(3, 4, 3))
    graph = simplify(capture(model, (images(),)))
    fast = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch annotates tensors only
    x = images().contiguous(memory_format=torch.channels_last)
    assert_equal(plan_of(simplify(capture(fast, (x,))), x), plan_of(graph, images()))


def test_calibration_holds_no_batch_and_no_activation_longer_than_it_needs(
    residual: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many values a graph has, a few are alive at any time."""
    alive: dict[str, weakref.ref[Tensor]] = {}
    most = 0
    original = walk

    def watching(graph: Graph, inputs: Sequence[Tensor], **options: object) -> tuple[object, ...]:
        listener = options.pop("listener")
        assert callable(listener)

        def listen(name: str, value: Tensor) -> None:
            nonlocal most
            alive[name] = weakref.ref(value)
            most = max(most, sum(1 for ref in alive.values() if ref() is not None))
            listener(name, value)

        return original(graph, inputs, listener=listen)

    monkeypatch.setattr("zeropoint.calibrate.walk", watching)
    plan_of(residual, images(2), images(2, seed=1))
    assert len(alive) == 10
    # The input; a residual, the operand and the result.
    assert most <= 4
    assert not [name for name, reference in alive.items() if reference() is not None]


def test_batches_are_taken_one_at_a_time(residual: Graph) -> None:
    taken: list[weakref.ref[Tensor]] = []

    def loader() -> Iterator[tuple[Tensor, ...]]:
        for seed in range(4):
            # A generator's own frame and the caller's loop hold one batch each at most.
            assert sum(1 for reference in taken if reference() is not None) <= 1
            batch = images(2, seed=seed)
            taken.append(weakref.ref(batch))
            yield (batch,)
            del batch

    calibrate(residual, loader(), MIN_MAX, ONEDNN)
    assert len(taken) == 4


def test_the_users_loader_runs_outside_of_inference_mode(residual: Graph) -> None:
    """Else a loader that keeps what it makes could never train with it again."""
    modes: list[bool] = []

    def loader() -> Iterator[tuple[Tensor, ...]]:
        for seed in range(2):
            modes.append(torch.is_inference_mode_enabled())
            yield (images(2, seed=seed),)

    calibrate(residual, loader(), MIN_MAX, ONEDNN)
    assert modes == [False, False]


def test_no_batch_at_all_is_an_error(residual: Graph) -> None:
    with pytest.raises(CalibrationError, match="the loader yields no batch"):
        calibrate(residual, [], Recipe(), ONEDNN)


# --- what is chosen ----------------------------------------------------------------------------


def test_min_max_activations_have_the_grid_over_their_extremes(residual: Graph) -> None:
    x = images()
    expected = asymmetric(scalar(x.min().item()), scalar(x.max().item()), UINT8)
    assert plan_of(residual, x).params("x") == expected


def test_what_follows_a_relu_is_one_sided(residual: Graph) -> None:
    plan = plan_of(residual, images())
    relus = [
        node.output
        for node in residual.nodes
        if isinstance(node.op, Conv2d) and node.op.low == 0 and plan.params(node.output)
    ]
    assert relus
    for name in relus:
        params = plan.params(name)
        assert params is not None
        assert params.zero_point.item() == 0


def test_weights_are_symmetric_for_each_channel(residual: Graph) -> None:
    plan = plan_of(residual, images())
    for node in residual.nodes:
        if isinstance(node.op, Conv2d | Linear):
            weight = residual.constants[node.inputs[1]]
            params = plan.params(node.inputs[1])
            assert params is not None
            assert (params.axis, params.low, params.high) == (0, -127, 127)
            assert not params.zero_point.any()
            steps = weight.flatten(1).abs().amax(1) / params.scale
            assert (steps <= 127.01).all()


def test_weights_per_tensor_have_one_scale(residual: Graph) -> None:
    spec = TensorSpec(symmetric=True, granularity=PerTensor(), calibrator=MinMax())
    plan = plan_of(residual, images(), recipe=Recipe(weights=spec))
    params = plan.params("fc.weight")
    assert params is not None
    assert params.scale.shape == ()


def test_a_bias_lives_at_the_scale_of_the_accumulator(residual: Graph) -> None:
    plan = plan_of(residual, images())
    for node in residual.nodes:
        if not isinstance(node.op, Conv2d | Linear):
            continue
        x, weight, bias = (plan.params(name) for name in node.inputs[:3])
        assert x is not None
        assert weight is not None
        assert bias is not None
        assert bias.type == INT32
        assert isinstance(plan.entries[node.inputs[2]], Bias)
        assert torch.equal(bias.scale, (x.scale.double() * weight.scale.double()).float())


def test_the_logits_are_left_in_their_accumulator(residual: Graph) -> None:
    plan = plan_of(residual, images())
    entry = plan.entries["fc"]
    assert isinstance(entry, Accumulator)
    assert entry.params.axis == 1
    bias = plan.params("fc.bias")
    assert bias is not None
    assert torch.equal(entry.params.scale, bias.scale)


def test_entries_come_in_the_order_of_the_graph(residual: Graph) -> None:
    names = list(plan_of(residual, images()).entries)
    assert names == [name for name in residual.values if name in names]


def test_each_layer_is_chosen_for_by_its_own_specification(residual: Graph) -> None:
    narrow = TensorSpec(bits=4, symmetric=True, granularity=PerChannel(), calibrator=MSE(p=4.0))
    override = Recipe(weights=narrow, activations=TensorSpec(bits=5, calibrator=MSE(p=3.0)))
    recipe = Recipe(activations=MIN_MAX.activations, overrides={"block1.conv1": override})
    plan = plan_of(residual, images(), recipe=recipe)
    node = next(node for node in residual.nodes if node.origin.layer == "block1.conv1")
    weight, output = plan.entries[node.inputs[1]], plan.entries[node.output]
    assert isinstance(weight, Own)
    assert isinstance(output, Own)
    assert (weight.params.type.bits, weight.calibrator) == (4, "MSE(p=4.0)")
    assert (output.params.type.bits, output.calibrator) == (5, "MSE(p=3.0)")
    others = [e for e in plan.entries.values() if isinstance(e, Own) and e not in (weight, output)]
    assert {entry.params.type.bits for entry in others} == {8}


# --- small graphs ------------------------------------------------------------------------------


class Net:
    """Layers over vectors (N, 2), with weights and biases of one's choice."""

    def __init__(self) -> None:
        self.to: Builder
        self.to, self.x = float_graph(("N", 2))

    def linear(
        self, name: str, x: Value, weight: Sequence[Sequence[float]], bias: Sequence[float]
    ) -> Value:
        w, b = (
            self.to.constant(f"{name}.w", torch.tensor(weight)),
            self.to.constant(f"{name}.b", torch.tensor(bias)),
        )
        return self.op(name, Linear(), x, w, b)

    def op(self, name: str, op: Op, *operands: Value) -> Value:
        self.to.origin = Origin(name, (), f"net.py:1  {name}")
        return self.to.emit(op, *operands, shape=("N", 2), name=name)

    def plan(
        self, output: Value, *batches: Sequence[Sequence[float]], recipe: Recipe = MIN_MAX
    ) -> Plan:
        data = [(torch.tensor(batch),) for batch in batches]
        return calibrate(self.to.done([output]), data, recipe, REFERENCE)


EYE = [[1.0, 0.0], [0.0, 1.0]]


def scales(plan: Plan, name: str) -> list[float]:
    params = plan.params(name)
    assert params is not None
    return params.scale.reshape(-1).tolist()


def test_a_huge_bias_widens_the_scale_of_its_channel_only() -> None:
    net = Net()
    plan = net.plan(net.linear("fc", net.x, EYE, [1e9, 0.0]), [[0.0, 1.0]])
    wide, ordinary = scales(plan, "fc.w")
    assert ordinary == pytest.approx(1 / 127)
    assert 1e9 / (wide / 255) == pytest.approx(2**30)


def test_a_channel_of_zeros_gets_the_scale_of_its_bias() -> None:
    net = Net()
    weight = [[0.0, 0.0], [0.0, 1.0]]
    plan = net.plan(net.linear("fc", net.x, weight, [0.5, 0.0]), [[0.0, 1.0]])
    dead, _ = scales(plan, "fc.b")
    assert 0.5 / dead == pytest.approx(2**30)


def test_a_dead_channel_without_a_bias_has_an_ordinary_scale() -> None:
    net = Net()
    weight = [[0.0, 0.0], [0.0, 1.0]]
    assert (
        scales(net.plan(net.linear("fc", net.x, weight, [0.0, 0.0]), [[0.0, 1.0]]), "fc.w")[0] == 1
    )


@pytest.mark.parametrize("calibrator", [MinMax(), MSE()])
def test_a_constant_activation_stays_what_it_is(calibrator: Calibrator) -> None:
    net = Net()
    fixed = net.linear("a", net.x, [[0.0, 0.0], [0.0, 0.0]], [3.0, 3.0])
    recipe = Recipe(activations=TensorSpec(calibrator=calibrator))
    plan = net.plan(net.linear("b", fixed, EYE, [0.0, 0.0]), [[0.5, 1.0]], recipe=recipe)
    params = plan.params("a")
    assert params is not None
    assert params.scale.item() * 255 == pytest.approx(3.0, rel=1e-5)


@pytest.mark.parametrize(("ends", "zero_point"), [((-1.0, 3.0), 64), ((0.5, 2.0), 0)])
def test_a_constant_operand_has_the_grid_over_its_own_numbers(
    ends: tuple[float, float], zero_point: int
) -> None:
    net = Net()
    constant = net.to.constant("c", torch.tensor(ends))
    sum = net.to.emit(Add(), net.linear("a", net.x, EYE, [0.0, 0.0]), constant, shape=("N", 2))
    plan = net.plan(net.linear("b", sum, EYE, [0.0, 0.0]), [[0.5, 1.0]])
    entry = plan.entries["c"]
    assert isinstance(entry, Own)
    assert entry.calibrator == "MinMax()"
    assert int(entry.params.zero_point) == zero_point
    _, high = entry.params.real_range
    assert high.item() == pytest.approx(ends[1], rel=0.01)


def test_an_activation_of_zeros_gets_a_usable_scale() -> None:
    net = Net()
    fixed = net.linear("a", net.x, [[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0])
    assert scales(net.plan(net.linear("b", fixed, EYE, [0.0, 0.0]), [[0.5, 1.0]]), "a") == [1.0]


def test_a_layer_that_is_used_twice_has_one_weight_grid_and_a_bias_grid_for_each_use() -> None:
    net = Net()
    first = net.linear("fc", net.x, EYE, [1.0, 1.0])
    w, b = net.to.values["fc.w"], net.to.values["fc.b"]
    bigger = net.linear("other", first, [[9.0, 0.0], [0.0, 9.0]], [0.0, 0.0])
    graph = simplify(net.to.done([net.op("fc", Linear(), bigger, w, b)]))
    plan = calibrate(graph, [(torch.ones(1, 2),)], MIN_MAX, ONEDNN)
    assert scales(plan, "fc.b'")[0] == pytest.approx(18 * scales(plan, "fc.b")[0], rel=1e-5)
    assert sum(1 for name in plan.entries if name.startswith("fc.w")) == 1


def test_tied_and_moved_values_share_the_grid_of_their_owner() -> None:
    net = Net()
    a = net.linear("a", net.x, EYE, [0.0, 0.0])
    b = net.linear("b", net.x, [[5.0, 0.0], [0.0, 5.0]], [0.0, 0.0])
    both = net.to.emit(Concat(1), a, b, shape=("N", 4), name="cat")
    plan = net.plan(net.linear("out", both, [[1.0, 1.0, 1.0, 1.0]], [0.0]), [[0.0, 1.0]])
    assert plan.entries["a"] == Shared(plan.params("cat"), "cat")  # type: ignore[arg-type]  # the assertion says that it is there
    assert plan.params("a") == plan.params("b") == plan.params("cat")


def test_assignment_and_statistics_are_all_that_a_plan_is_made_of(residual: Graph) -> None:
    assignment = assign(residual, MIN_MAX, ONEDNN)
    observations = observe(residual, [(images(),)], assignment.own)
    assert_equal(choose(residual, assignment, observations, ONEDNN), plan_of(residual, images()))


# --- data that cannot calibrate ----------------------------------------------------------------


def test_the_first_layer_that_is_not_finite_is_named() -> None:
    net = Net()
    y = net.linear("fine", net.x, EYE, [0.0, 0.0])
    y = net.op("exploding", Opaque("aten.exp.default", (("%", 0),)), y)
    y = net.linear("after", y, EYE, [0.0, 0.0])
    with pytest.raises(CalibrationError) as raised:
        net.plan(y, [[1.0, 2.0]], [[1.0, 1000.0]])
    assert str(raised.value) == (
        "the output of exploding (net.py:1  exploding) is not finite on the calibration data "
        "although the input is: the float model overflows there; check its weights and the "
        "normalization of the images"
    )


# --- what is next to nothing -------------------------------------------------------------------


class Between(nn.Module):
    """A function between two layers."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.first(x)))  # type: ignore[no-any-return]


def dead() -> nn.Module:
    layer = nn.Conv2d(4, 4, 3, padding=1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Beside(nn.Module):
    """x + layer(x)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layer(x)  # type: ignore[no-any-return]


def norm(gamma: float, beta: float) -> nn.Module:
    layer = nn.BatchNorm2d(4)
    nn.init.constant_(layer.weight, gamma)
    nn.init.constant_(layer.bias, beta)
    return layer


def without_mean(x: Tensor) -> Tensor:
    return x - x.mean((2, 3), keepdim=True)


NEXT_TO_NOTHING: dict[str, Callable[[Tensor], Tensor]] = {
    "a mean of what has none": lambda x: without_mean(x).mean((2, 3), keepdim=True),
    "a sum of what cancels": lambda x: without_mean(x).sum((2, 3), keepdim=True),
    "pooled": lambda x: nn.functional.adaptive_avg_pool2d(without_mean(x), 1),
    "a layer of zeros": dead(),
    "a layer of zeros and a function": nn.Sequential(dead(), nn.SiLU()),
    "a layer of zeros beside another": Beside(dead()),
    "gamma of 0": norm(0.0, 0.0),
    "gamma of 0, behind relu": nn.Sequential(norm(0.0, -1.0), nn.ReLU()),
    "gamma of 1e-30": norm(1e-30, 1e-38),
    "a gate that is closed": lambda x: x * torch.sigmoid(x - 40.0),
    "itself without itself": lambda x: x - x,
    "maximum": lambda x: torch.maximum(x * 1e-8, x * 0.0),
}


def of_its_integers(model: nn.Module, x: Tensor) -> Tensor:
    program = lowered(simplify(capture(model, (x,))), x)
    (found,) = Reference(program).run([x])
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("title", NEXT_TO_NOTHING)
def test_what_is_next_to_nothing_is_quantized_like_anything_else(title: str) -> None:
    model = seeded(Between(NEXT_TO_NOTHING[title])).eval()
    x = images(4)
    with torch.no_grad():
        expected = model(x)
    far = (of_its_integers(model, x) - expected).abs().max()
    assert float(far) <= 0.05 * float(expected.abs().max())


def test_a_linear_layer_behind_a_mean_of_about_zero_gives_its_bias() -> None:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5)).eval()
    x = without_mean(images(4))
    with torch.no_grad():
        torch.testing.assert_close(of_its_integers(model, x), model(x), rtol=0, atol=1e-3)


def test_a_function_that_is_next_to_a_step_is_refused_by_the_name_of_its_layer() -> None:
    model = seeded(Between(lambda x: (x * 1e7).clamp(-1.0, 1.0)))
    with pytest.raises(CalibrationError, match=r"bounds to \[-1, 1\].*overrides=\{'first': None\}"):
        plan_of(simplify(capture(model, (images(),))), images())
