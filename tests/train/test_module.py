"""The module in training: what it leaves of the user's model, what it sees, and what it becomes."""

import copy
import functools
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import backward

import zeropoint as zp
from studies.low_bits.network import ResNet20
from tests.nets import Islands, MobileNetLike, Residual, images, seeded
from tests.train.training import (
    OPTIMIZERS,
    assert_equal_states,
    assert_evaluates_as_its_program,
    prepared,
    recipe,
    settled,
    simulation_of,
    train,
)
from zeropoint.errors import TrainingError
from zeropoint.graph.graph import Node
from zeropoint.graph.op import Role
from zeropoint.graph.walk import walk
from zeropoint.recipe import Recipe
from zeropoint.simulation import every
from zeropoint.train import (
    CurrentRange,
    Folded,
    Live,
    MovingRange,
    Unfolded,
    freeze_batch_norm,
    freeze_ranges,
    module,
)
from zeropoint.train.batch_norm import Way
from zeropoint.train.module import QuantizationAware

LEARNED: dict[str, Any] = {}
RANGES: dict[str, Any] = {"weights": CurrentRange(), "activations": MovingRange(0.9)}
WAYS = (Live(), Folded(), Unfolded())
SCHEMES = {
    "8 bits": recipe(8),
    "4 bits, symmetric activations": recipe(4, symmetric=True),
    "8 bits, asymmetric weights": recipe(8, symmetric_weights=False),
    "4 bits, one scale a weight": recipe(4, per_tensor=True),
    "2 bits, asymmetric, one scale a weight": recipe(2, symmetric_weights=False, per_tensor=True),
}

# --- what is evaluated is what will run ----------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "methods", "optimizer", "scheme"),
    [
        (Live(), LEARNED, "sgd", "8 bits"),
        (Live(), RANGES, "adam", "4 bits, symmetric activations"),
        (Folded(), LEARNED, "adam", "8 bits, asymmetric weights"),
        (Folded(), RANGES, "sgd", "8 bits"),
        (Unfolded(), LEARNED, "sgd", "4 bits, one scale a weight"),
        (Unfolded(), RANGES, "adam", "8 bits"),
    ],
)
def test_resnet20_evaluates_as_its_program_after_real_steps(
    way: Way, methods: dict[str, Any], optimizer: str, scheme: str
) -> None:
    qat = prepared(
        settled(ResNet20(), size=16), SCHEMES[scheme], size=16, batch_norm=way, **methods
    )
    train(qat, 2, optimizer=OPTIMIZERS[optimizer](qat.parameters()), size=16)
    assert_evaluates_as_its_program(qat, images(8, size=16, seed=5))


@functools.cache
def trained_mobilenet(way: Way, methods: str, scheme: str) -> QuantizationAware:
    """After three steps: two tests look at copies of it."""
    options = {"learned": LEARNED, "ranges": RANGES}[methods]
    qat = prepared(settled(MobileNetLike()), SCHEMES[scheme], batch_norm=way, **options)
    optimizer = {"learned": "adam", "ranges": "sgd"}[methods]
    train(qat, 3, optimizer=OPTIMIZERS[optimizer](qat.parameters()))
    return qat


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("methods", ["learned", "ranges"])
@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_a_mobilenet_evaluates_as_its_program_after_real_steps(
    way: Way, methods: str, scheme: str
) -> None:
    qat = copy.deepcopy(trained_mobilenet(way, methods, scheme))
    assert_evaluates_as_its_program(qat, images(16, seed=5))


def test_the_outputs_are_the_reference_executors_in_float64_too() -> None:
    qat = prepared(settled(Residual()))
    train(qat)
    freeze_ranges(qat)
    q, x = zp.convert(qat), images(8, seed=5)
    assert torch.equal(qat.eval()(x), q(x))
    assert torch.equal(qat.double()(x.double()), q(x).double())


def differences_of_steps(qat: QuantizationAware, x: Tensor) -> Tensor:
    """How far training is from the program, in steps of the grid of what an integer node writes.

    Each node is given what the program has, so that no difference grows on its way. Biases are
    left out of it: the program has them in int32, training in float.
    """
    simulation = simulation_of(qat.eval())

    def compute(node: Node, operands: Sequence[Any]) -> Any:
        if not simulation.runs_in_integers(node):
            return node.op.run(*operands)
        read = simulation.fenced(node, operands, every)
        real = node.op.run(*simulation.with_rounded(node, read, [Role.WEIGHT]))
        return simulation.narrowed(node, real)

    values: dict[str, Any] = {}
    with torch.no_grad():
        walk(simulation.graph, [x], kernel=compute, listener=values.__setitem__)
        qat.train()
        found = []
        for step in qat._steps:
            live = dict(values)
            step.run(qat, live)
            name = step.node.output
            grid = simulation.grid(name)
            if name not in values:
                values[name] = live[name]  # of a dropout, which the program has not
            elif name in live and grid is not None and name not in simulation.fences:
                found.append(((live[name] - values[name]) / grid.scale).reshape(-1))
    assert len(found) >= 5
    return torch.cat(found).abs()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("methods", ["learned", "ranges"])
@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_training_sees_what_will_run(way: Way, methods: str, scheme: str) -> None:
    """With batch norms frozen and without dropout."""
    qat = copy.deepcopy(trained_mobilenet(way, methods, scheme))
    freeze_batch_norm(qat)
    freeze_ranges(qat)
    dropout = qat.get_submodule("dropout")
    assert isinstance(dropout, nn.Dropout)
    dropout.p = 0.0
    steps = differences_of_steps(qat, images(16, seed=5))
    assert steps.max() <= 1.01
    assert (steps > 0.01).sum() <= 0.002 * steps.numel()


@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_so_it_does_with_resnet20(way: Way) -> None:
    qat = prepared(settled(ResNet20(), size=16), recipe(8), size=16, batch_norm=way)
    train(qat, 1, size=16)
    freeze_batch_norm(qat)
    steps = differences_of_steps(qat, images(4, size=16, seed=5))
    assert steps.max() <= 1.01
    assert (steps > 0.01).sum() <= 0.001 * steps.numel()


def test_a_change_behind_autograds_back_is_seen_at_the_next_eval_and_by_convert() -> None:
    """As averages of weights are written: parameter.data.copy_(average)."""
    qat = prepared(settled(Residual())).eval()
    x = images()
    before, bias = qat(x), qat.get_parameter("fc.bias")
    bias.data.add_(1000.0)
    with pytest.warns(UserWarning, match="before a single training step"):
        assert zp.convert(qat)(x).min() > 500
    bias.data.add_(1000.0)
    assert qat.eval()(x).min() > 1500
    with torch.no_grad():
        bias.sub_(2000.0)
    assert (qat(x) - before).abs().max() < 0.1


def test_evaluation_is_not_prepared_anew_for_every_batch() -> None:
    qat = prepared(settled(Residual())).eval()
    qat(images())
    assert qat.snapshot() is qat.snapshot()


def test_outputs_keep_their_structure_in_both_modes() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> dict[str, Any]:
            y = torch.relu(self.conv(x))
            return {"scores": self.fc(y.mean((2, 3))), "maps": [y, None]}

    qat = prepared(settled(Two()))
    for mode in (True, False):
        outputs = qat.train(mode)(images())
        assert list(outputs) == ["scores", "maps"]
        assert outputs["scores"].shape == (4, 2)
        assert outputs["maps"][0].shape == (4, 4, 8, 8)
        assert outputs["maps"][1] is None


# --- the user's model ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", [Live(), Unfolded()], ids=repr)
def test_parameters_and_buffers_carry_the_users_names(way: Way) -> None:
    model = settled(Residual())
    as_they_are = replace(recipe(), bias_correction=False)
    qat = prepared(model, as_they_are, batch_norm=way)
    names = {name for name in qat.state_dict() if not name.startswith("fake_quantizers.")}
    assert names == {*model.state_dict(), "steps", "frozen"}
    for name, parameter in model.named_parameters():
        assert torch.equal(qat.get_parameter(name), parameter)
        assert qat.get_parameter(name).requires_grad


def test_folded_weights_stand_in_the_place_of_the_users() -> None:
    qat = prepared(settled(Residual()), batch_norm=Folded())
    names = {n for n in qat.state_dict() if not n.startswith("fake_quantizers.")}
    assert names == {
        "steps", "frozen", "fc.weight", "fc.bias",
        *(f"{layer}.{tensor}" for tensor in ("weight", "bias") for layer in (
            "stem.0", "block1.conv1", "block1.conv2", "block2.conv1", "block2.conv2",
            "block2.shortcut.0")),
    }  # fmt: skip


def test_the_users_model_is_not_changed() -> None:
    model = settled(Residual()).train()
    model.get_submodule("block1.bn1").eval()
    calls: list[str] = []
    model.get_submodule("fc").register_forward_hook(lambda *_: calls.append("fc"))
    before = copy.deepcopy(model)
    qat = prepared(model)
    calls.clear()  # capture has run the model
    train(qat)
    qat.eval()(images())
    assert_equal_states(model, before)
    assert calls == []
    for (name, layer), (_, kept) in zip(model.named_modules(), before.named_modules(), strict=True):
        assert layer.training == kept.training, name
        assert len(layer._forward_hooks) == len(kept._forward_hooks)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_layers_keep_their_momentum_eps_dropout_and_modes() -> None:
    model = settled(MobileNetLike()).train()
    norm = model.get_submodule("stem.1")
    assert isinstance(norm, nn.BatchNorm2d)
    norm.momentum, norm.eps = 0.37, 0.01
    norm.eval()
    qat = prepared(model)
    found = qat.get_submodule("stem.1")
    assert isinstance(found, nn.BatchNorm2d)
    assert (found.momentum, found.eps, found.training) == (0.37, 0.01, False)
    assert qat.training
    assert qat.get_submodule("expand.1").training
    dropout = qat.get_submodule("dropout")
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.2


@pytest.mark.parametrize("mode", [True, False])
def test_it_begins_in_the_mode_of_the_model(mode: bool) -> None:
    qat = prepared(settled(Residual()).train(mode))
    assert qat.training is mode
    assert {q.training for q in qat.quantizers().values()} == {mode}


@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_parameters_that_the_user_has_frozen_stay_so(way: Way) -> None:
    model = settled(Residual())
    model.get_parameter("stem.0.weight").requires_grad_(False)
    qat = prepared(model, batch_norm=way)
    before = qat.get_parameter("stem.0.weight").detach().clone()
    train(qat)
    assert torch.equal(qat.get_parameter("stem.0.weight"), before)


@pytest.mark.parametrize("name", ["walk", "steps", "fake_quantizers"])
def test_a_model_with_a_member_of_a_name_that_is_needed_is_refused(name: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module(name, nn.Conv2d(3, 4, 1))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.get_submodule(name)(x)
            return y

    with pytest.raises(TrainingError, match=f"the model has a member named {name!r}"):
        prepared(settled(Net()))


# --- each value is quantized once ----------------------------------------------------------------


def calls_in_a_step(qat: QuantizationAware, x: Tensor) -> Counter[str]:
    """How often each fake quantizer is asked."""
    calls: Counter[str] = Counter()
    for name, quantizer in qat.quantizers().items():
        quantizer.register_forward_hook(lambda *_, name=name: calls.update([name]))
    qat.train()(x)
    return calls


def test_each_value_is_quantized_once_however_many_consumers_it_has() -> None:
    """Weights, the image, and what a residual block reads twice."""
    qat = prepared(settled(Residual()))
    calls = calls_in_a_step(qat, images())
    assert calls.keys() == qat.quantizers().keys()
    assert set(calls.values()) == {1}


def test_a_float_value_that_several_layers_read_is_put_on_its_grid_once() -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 3, 1)
            self.branches = nn.ModuleList(nn.Conv2d(3, 4, 1) for _ in range(3))

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            y = F.silu(self.stem(x))
            return (*(branch(y) for branch in self.branches), y)

    calls = calls_in_a_step(prepared(settled(Fork())), images())
    assert set(calls.values()) == {1}
    assert len(calls) == 2 + 4


def test_values_that_are_concatenated_are_rounded_straight_onto_the_grid_of_the_result() -> None:
    class Inception(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)
            self.fc = nn.Conv2d(8, 5, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = torch.cat([torch.relu(self.left(x)), 3 * 0 + self.right(x)], 1)
            z: Tensor = self.fc(y).mean((2, 3))
            return z

    for methods in (LEARNED, RANGES):
        qat = prepared(settled(Inception()), **methods)
        calls = calls_in_a_step(qat, images())
        shared = [name for name, count in calls.items() if count > 1]
        assert len(shared) == 1
        train(qat)
        assert_evaluates_as_its_program(qat, images(8, seed=3))


# --- what else a model may hold ------------------------------------------------------------------


class Twice(nn.Module):
    """One convolution and one ReLU module that are used twice, with or without batch norms."""

    def __init__(self, norms: int) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(norms))
        self.fc = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        for use in range(2):
            x = self.conv(x)
            x = self.relu(self.norms[use % len(self.norms)](x) if self.norms else x)
        y: Tensor = self.fc(x.mean((2, 3)))
        return y


class Normed(nn.Module):
    """Batch norms of the image, behind an activation, over vectors, and one that stays float."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv, self.alone = nn.BatchNorm2d(3), nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)
        self.fc, self.last = nn.Linear(8, 5), nn.BatchNorm1d(5)
        self.rows = nn.BatchNorm1d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.alone(torch.relu(self.conv(self.first(x))))
        x = self.rows(x.flatten(2)).mean(2)
        y: Tensor = self.last(self.fc(x))
        return y


class Dropped(nn.Module):
    """Dropout as a module and as a function, before an addition, and behind an island."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
        self.drop, self.channels = nn.Dropout(0.3), nn.Dropout2d(0.2)
        self.fc, self.out = nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(self.channels(x)))
        x = x + self.drop(self.conv2(x))
        x = F.dropout(F.hardswish(self.fc(x.mean((2, 3)))), 0.4, self.training)
        y: Tensor = self.out(x)
        return y


class Auxiliary(nn.Module):
    """A head that only training uses, in the user's own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.fc, self.head = nn.Linear(8, 5), nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).mean((2, 3))
        y: Tensor = self.fc(x)
        return y + self.head(x) if self.training else y


MODELS: dict[str, Callable[[], nn.Module]] = {
    "islands": Islands,
    "shared": lambda: Twice(0),
    "shared, one batch norm": lambda: Twice(1),
    "shared, two batch norms": lambda: Twice(2),
    "batch norms alone": Normed,
    "dropout": Dropped,
    "auxiliary head": Auxiliary,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_all_kinds_of_models_train_and_evaluate_as_their_programs(name: str, way: Way) -> None:
    qat = prepared(settled(MODELS[name]()), batch_norm=way)
    before = {key: tensor.clone() for key, tensor in qat.state_dict().items()}
    train(qat)
    trained = {key for key, p in qat.named_parameters() if p.requires_grad}
    assert all(p.grad is not None for p in qat.parameters() if p.requires_grad)
    # A scale may have a gradient of zero: where nothing is clipped or nothing is rounded.
    own = {key for key in trained if not key.startswith("fake_quantizers.")}
    assert {key for key in own if torch.equal(qat.state_dict()[key], before[key])} == set()
    assert_evaluates_as_its_program(qat, images(8, seed=3))


def test_a_shared_weight_stays_one_parameter_with_one_grid() -> None:
    qat = prepared(settled(Twice(0)))
    assert sum("conv" in name for name, _ in qat.named_parameters()) == 3  # weight, bias, scale


def test_a_layer_with_two_names_keeps_both() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 3, 3, padding=1)
            self.b = self.a
            self.fc = nn.Linear(3, 5)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.fc(self.b(torch.relu(self.a(x))).mean((2, 3)))
            return y

    qat = prepared(settled(Tied()))
    assert {"a.weight", "b.weight"} <= qat.state_dict().keys()
    before = qat.get_parameter("b.weight").detach().clone()
    train(qat)
    assert qat.get_parameter("a.weight") is qat.get_parameter("b.weight")
    assert not torch.equal(qat.get_parameter("a.weight"), before)
    assert_evaluates_as_its_program(qat, images(8, seed=3))


def test_a_bias_that_is_computed_is_trained_under_the_users_name() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 3, 1, 1))
            self.bias = nn.Parameter(torch.randn(5))

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x, self.weight, 2 * self.bias + 100).mean((2, 3))

    qat = prepared(settled(Net()))
    assert qat.get_parameter("bias").requires_grad
    assert "folded" not in dict(qat.named_children())
    before = qat.get_parameter("bias").detach().clone()
    train(qat)
    assert not torch.equal(qat.get_parameter("bias"), before)
    assert_evaluates_as_its_program(qat, images(8, seed=3))


def test_islands_train_in_float() -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1)
            self.norm = nn.GroupNorm(2, 4)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv2(self.norm(self.conv1(x))).mean((2, 3))
            return y

    qat = prepared(settled(Normed()))
    before = qat.get_parameter("norm.weight").detach().clone()
    train(qat)
    assert not torch.equal(qat.get_parameter("norm.weight"), before)
    assert "norm.weight" not in {name.removesuffix("'") for name in qat.quantizers()}
    assert_evaluates_as_its_program(qat, images(8, seed=3))


@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_layers_that_the_recipe_keeps_float_train_in_float(way: Way) -> None:
    qat = prepared(
        settled(Residual()), Recipe(overrides={"stem": None, "fc": None}), batch_norm=way
    )
    assert not [name for name in qat.quantizers() if "stem" in name or "fc." in name]
    before = qat.get_parameter("stem.0.weight").detach().clone()
    train(qat)
    assert not torch.equal(qat.get_parameter("stem.0.weight"), before)
    assert_evaluates_as_its_program(qat, images(8, seed=3))


def test_what_inference_does_not_use_is_not_trained() -> None:
    """So that DistributedDataParallel does not wait for its gradients."""
    qat = prepared(settled(Auxiliary()))
    train(qat)
    unused = {name for name, p in qat.named_parameters() if not p.requires_grad}
    assert unused == {"head.0.weight", "head.0.bias", "head.1.weight", "head.1.bias"}
    assert all(p.grad is not None for p in qat.parameters() if p.requires_grad)


def test_several_inputs_are_passed_in_the_order_of_the_model() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 5, 1), nn.Conv2d(3, 5, 1)

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            y: Tensor = self.a(left) - 2 * self.b(right)
            return y.mean((2, 3))

    model, pair = seeded(Pair()), (images(8), images(8, seed=1))
    qat = zp.prepare_qat(model, [pair], engine="reference")
    assert (qat.eval()(*pair) - model(*pair)).abs().max() < 0.1
    assert (qat(*pair) - model(*pair[::-1])).abs().max() > 0.1


# --- where it runs -------------------------------------------------------------------------------


def test_a_copy_is_another_module() -> None:
    qat = prepared(settled(Residual()))
    train(qat)
    qat.eval()(images())
    other = copy.deepcopy(qat)
    assert torch.equal(other(images()), qat(images()))
    before = qat(images())
    train(other)
    assert torch.equal(qat.eval()(images()), before)
    assert not torch.equal(other.eval()(images()), before)


def test_it_goes_through_pickle() -> None:
    qat = prepared(settled(Residual()), **RANGES)
    train(qat)
    file = io.BytesIO()
    torch.save(qat, file)
    file.seek(0)
    other = torch.load(file, weights_only=False)
    for one in (qat, other):
        train(one, 1)
    assert_equal_states(other, qat)


def test_under_autocast_it_trains_in_bfloat16_and_evaluates_as_the_program() -> None:
    for methods in (LEARNED, RANGES):
        qat = prepared(settled(MobileNetLike()), recipe(8), **methods)
        x = images(16, seed=5)
        expected = qat.eval()(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(qat(x), expected)
            outputs = qat.train()(x)
        assert outputs.dtype == torch.bfloat16
        backward(outputs.float().square().mean())
        assert all(
            bool(torch.isfinite(p.grad).all()) for p in qat.parameters() if p.grad is not None
        )
        qat.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            train(qat)
        assert_evaluates_as_its_program(qat, x)


def test_in_float64_it_trains_and_evaluates() -> None:
    qat = prepared(settled(Residual())).double()
    x = images(8).double()
    for _ in range(2):
        outputs = qat.train()(x)
        assert outputs.dtype == torch.float64
        backward(outputs.square().mean())
        torch.optim.SGD(qat.parameters(), 0.01).step()
    assert qat.eval()(x).dtype == torch.float64
    assert_evaluates_as_its_program(qat, images(8))


class Scaled(nn.Module):
    """With numbers in the code of forward()."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x) * torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
        y: Tensor = self.last(x).mean((2, 3))
        return y


def test_numbers_in_the_models_code_go_along_in_float64() -> None:
    qat = prepared(settled(Scaled())).double()
    assert qat.train()(images(8).double()).dtype == torch.float64
    assert_evaluates_as_its_program(qat, images(8))


@pytest.mark.parametrize("net", [MobileNetLike, Islands, Scaled])
@pytest.mark.parametrize("weights", [{}, {"weights": CurrentRange()}], ids=["learned", "current"])
@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_on_another_device_all_of_a_step_is_there(
    net: Callable[[], nn.Module],
    weights: dict[str, Any],
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On one that holds no numbers, where torch computes no sum or product from two devices."""
    monkeypatch.setattr(module, "_finite", lambda _: True)
    qat = prepared(settled(net()), recipe(symmetric=True), batch_norm=way, **weights).train()
    outputs = qat.to("meta")(images(8).to("meta"))
    backward(outputs.sum())
    assert outputs.device == torch.device("meta")
    assert {p.grad.device.type for p in qat.parameters() if p.grad is not None} == {"meta"}


# --- what is not finite --------------------------------------------------------------------------


def test_an_input_that_is_not_finite_is_named_and_leaves_no_trace() -> None:
    qat = prepared(settled(Residual()), **RANGES)
    train(qat, 2)
    before = copy.deepcopy(qat)
    x = images()
    x[0, 0, 0, 0] = torch.nan
    with pytest.raises(TrainingError) as raised:
        qat(x)
    assert str(raised.value) == "input 'x' of step 2 holds NaN or infinity; look at the data"
    for one in (qat, before):
        train(one, 1, first=2)
    assert_equal_states(qat, before)


def test_a_parameter_that_is_not_finite_is_named() -> None:
    qat = prepared(settled(Residual()))
    train(qat, 1)
    qat.get_parameter("block2.conv1.weight").data[0, 0, 0, 0] = torch.nan
    with pytest.raises(TrainingError) as raised:
        train(qat, 1)
    assert str(raised.value) == (
        "parameter 'block2.conv1.weight' is not finite in step 1: an update before it was not; go "
        "back to the last checkpoint, with a lower learning rate or with clipped gradients"
    )


def test_so_is_a_scale_or_a_zero_point() -> None:
    for name in ("fake_quantizers.x.change", "fake_quantizers.x.shift"):
        qat = prepared(settled(Residual()))
        qat.get_parameter(name).data.fill_(torch.nan)
        with pytest.raises(TrainingError, match=f"parameter '{name}' is not finite in step 0"):
            train(qat, 1)


@pytest.mark.parametrize("methods", [LEARNED, RANGES], ids=["learned", "ranges"])
def test_the_first_layer_that_is_not_finite_is_named(methods: dict[str, Any]) -> None:
    class Digamma(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.digamma(x)  # not a number at -100

    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), Digamma(), nn.Conv2d(4, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    qat = prepared(model, **methods)
    qat.get_parameter("0.weight").data.zero_()
    qat.get_parameter("0.bias").data.fill_(-100.0)
    before = copy.deepcopy(qat.state_dict())
    with pytest.raises(TrainingError) as raised:
        train(qat, 1)
    assert str(raised.value) == (
        "the output of 1 is not finite in step 0, although inputs and parameters are; lower the "
        "learning rate"
    )
    for name, tensor in qat.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    qat.get_parameter("0.bias").data.fill_(0.5)
    train(qat, 1)  # the user may go on
    assert all(bool(torch.isfinite(tensor).all()) for tensor in qat.state_dict().values())


def test_what_is_not_finite_does_not_become_a_program() -> None:
    qat = prepared(settled(Residual()))
    train(qat, 1)
    qat.get_buffer("stem.1.running_var").fill_(torch.nan)
    for use in (lambda: zp.convert(qat), lambda: qat.eval()(images())):
        with pytest.raises(TrainingError) as raised:
            use()
        assert str(raised.value) == (
            "'stem.1.running_var' is not finite after step 1, so there is no integer network; go "
            "back to the last checkpoint"
        )


# --- state ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("methods", [LEARNED, RANGES], ids=["learned", "ranges"])
def test_a_training_that_is_interrupted_goes_on_to_the_bit(
    methods: dict[str, Any], optimizer: str, tmp_path: Any
) -> None:
    """Through files, into a module that was prepared anew on other images."""
    from safetensors.torch import load_file, save_file

    model = settled(Residual())
    whole = prepared(model, recipe(4), **methods)
    made = train(whole, 5, optimizer=OPTIMIZERS[optimizer](whole.parameters()))
    freeze_batch_norm(whole)
    freeze_ranges(whole)
    save_file(whole.state_dict(), tmp_path / "qat.safetensors")
    torch.save(made.state_dict(), tmp_path / "optimizer.pt")
    train(whole, 5, optimizer=made, first=5)

    other = zp.prepare_qat(model, [images(16, seed=77)], recipe(4), engine="reference", **methods)
    other.load_state_dict(load_file(tmp_path / "qat.safetensors"))
    resumed = OPTIMIZERS[optimizer](other.parameters())
    resumed.load_state_dict(torch.load(tmp_path / "optimizer.pt"))
    train(other, 5, optimizer=resumed, first=5)
    assert_equal_states(other, whole)
    assert not any(norm.training for norm in other.batch_norms())
    found, expected = zp.convert(other)(images()), zp.convert(whole)(images())
    assert torch.equal(found, expected)


def test_a_checkpoint_of_another_recipe_is_refused_with_nothing_loaded() -> None:
    qat = prepared(seeded(Residual(), seed=1), recipe(8))
    before = copy.deepcopy(qat.state_dict())
    for options in ({"bits": 4}, {"symmetric": True}, {"per_tensor": True}):
        state = prepared(settled(Residual()), recipe(**options)).state_dict()
        with pytest.raises(TrainingError) as raised:
            qat.load_state_dict(state)
        start, _, rest = str(raised.value).partition(": ")
        assert start == "the checkpoint is of another recipe"
        assert rest.endswith(
            ". Prepare the model with the arguments that the checkpoint was trained with"
        )
        for name, tensor in qat.state_dict().items():
            assert torch.equal(tensor, before[name]), name


def test_so_is_one_of_other_methods_and_one_of_the_float_model() -> None:
    qat = prepared(settled(Residual()))
    for state in (
        prepared(settled(Residual()), **RANGES).state_dict(),
        prepared(settled(Residual()), batch_norm=Folded()).state_dict(),
        settled(Residual()).state_dict(),
    ):
        with pytest.raises(TrainingError, match="the checkpoint is of another recipe: "):
            qat.load_state_dict(state)


def test_what_was_frozen_is_frozen_again_and_the_warning_does_not_return() -> None:
    qat, other = (prepared(settled(Residual()), **RANGES) for _ in range(2))
    train(qat)
    freeze_ranges(qat)
    other.load_state_dict(qat.state_dict())
    train(other)
    for quantizer, kept in zip(other.quantizers().values(), qat.quantizers().values(), strict=True):
        for (name, tensor), expected in zip(quantizer.named_buffers(), kept.buffers(), strict=True):
            assert torch.equal(tensor, expected), name
    zp.convert(other)  # warnings are errors
