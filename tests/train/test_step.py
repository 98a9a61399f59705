"""One node in training, beside what it is in the float model."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import backward

from tests.nets import images, seeded
from tests.train.training import (
    assert_evaluates_as_its_program,
    prepared,
    recipe,
    values_in_training,
)
from zeropoint.train.batch_norm import Live, Unfolded, Way
from zeropoint.train.module import QuantizationAware
from zeropoint.train.step import _affine


class Net(nn.Module):
    """(N, 3, H, W) to (N, 4, H, W): two convolutions with some function between them."""

    def __init__(self, between: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.between(self, self.first(x)))
        return y


def net(between: Callable[[nn.Module, Tensor], Tensor]) -> nn.Module:
    return seeded(Net(between))


# --- activation functions ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [F.relu, F.relu6, F.hardtanh, lambda x: x.clamp(min=-0.5), lambda x: x.clamp(max=0.5)],
    ids=["relu", "relu6", "hardtanh", "above", "below"],
)
@pytest.mark.parametrize("symmetric", [True, False])
def test_gradients_pass_where_the_activation_function_lets_them(
    function: Callable[[Tensor], Tensor], symmetric: bool
) -> None:
    """At eight bits they are those of the float model, whether the grid is the clamp or not."""
    model = net(lambda _, x: function(x))
    qat = prepared(model, recipe(8, symmetric=symmetric)).train()
    x = images(8, seed=1)
    gradients = []
    for module in (model, qat):
        backward(module(x).sum())
        gradients.append(module.get_parameter("first.weight").grad)
    assert gradients[0] is not None
    assert gradients[1] is not None
    difference = (gradients[0] - gradients[1]).abs().max()
    assert difference <= 0.03 * gradients[0].abs().max()


def test_an_activation_behind_the_last_layer_is_applied_too() -> None:
    """There is no grid then, since the accumulator is the result."""
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6()))
    qat = prepared(model).train()
    x = 10 * images(4)
    assert qat(x).min() == 0
    assert qat(x).max() == 6


# --- dropout -------------------------------------------------------------------------------------


class Dropping(nn.Module):
    def __init__(self, kind: str, p: float = 0.5) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
        self.kind, self.p = kind, p
        self.module = nn.Dropout2d(p) if kind == "channels" else nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(x)) + 1
        if self.kind == "function":
            x = F.dropout(x, self.p, self.training)
        elif self.kind == "function on channels":
            x = F.dropout2d(x, self.p, self.training)
        else:
            x = self.module(x)
        y: Tensor = self.out(x)
        return y


def dropped(qat: QuantizationAware) -> Tensor:
    """What the second layer reads in a step on one image: zeros are what was dropped."""
    read: Tensor = values_in_training(qat, images(1))[qat._steps[-1].node.inputs[0]]
    return read.detach()


@pytest.mark.parametrize("kind", ["function", "module"])
def test_dropout_drops_elements_in_training_only(kind: str) -> None:
    qat = prepared(seeded(Dropping(kind)))
    share = (dropped(qat.train()) == 0).float().mean()
    assert 0.4 < share < 0.6
    x = images(2)
    assert torch.equal(qat.eval()(x), qat(x))


@pytest.mark.parametrize("kind", ["function on channels", "channels"])
def test_dropout_of_channels_drops_all_of_a_channel(kind: str) -> None:
    torch.manual_seed(0)
    zeros = (dropped(prepared(seeded(Dropping(kind))).train()) == 0)[0].flatten(1)
    assert torch.equal(zeros.any(1), zeros.all(1))
    assert 0 < zeros.any(1).sum() < 8


def test_the_users_dropout_may_change_its_probability_and_its_mode() -> None:
    qat = prepared(seeded(Dropping("module"))).train()
    module = qat.get_submodule("module")
    assert isinstance(module, nn.Dropout)
    module.p = 0.9
    assert (dropped(qat) == 0).float().mean() > 0.8
    module.eval()
    assert (dropped(qat) == 0).sum() == 0


def test_a_functional_dropout_is_in_the_mode_of_its_module() -> None:
    model = seeded(nn.Sequential(Dropping("function"), nn.Conv2d(8, 4, 1)))
    qat = prepared(model).train()
    x = images(2)
    assert not torch.equal(qat(x), qat(x))
    qat.get_submodule("0").eval()
    assert torch.equal(qat(x), qat(x))


def test_residuals_and_what_is_dropped_meet_in_an_addition_of_their_own() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.drop = nn.Conv2d(3, 3, 1), nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x + self.drop(self.conv(x))
            return y

    qat = prepared(seeded(nn.Sequential(Block(), nn.Conv2d(3, 4, 1))))
    operators = [step.node.op.name for step in qat._steps]
    assert operators == ["conv2d", "dropout", "add", "conv2d"]
    assert list(qat.quantizers()) == ["input", "0.conv", "0.add", "0.conv.weight", "1.weight"]


# --- batch norms that stay float -----------------------------------------------------------------


def test_a_batch_norm_behind_a_reshape_is_the_users_own() -> None:
    """Folded over rows (N, C, L) into a convolution of images, it keeps its momentum."""
    norm = nn.BatchNorm1d(4, momentum=0.5)
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(2), norm))
    before = norm.running_mean
    assert before is not None
    qat = prepared(model).train()
    found = qat.get_submodule("2")
    assert isinstance(found, nn.BatchNorm1d)
    assert found.running_mean is not None
    qat(images(8))
    assert found.num_batches_tracked == 1
    assert not torch.equal(found.running_mean, before)
    kept = found.running_mean.clone()
    qat.freeze(batch_norm=True)
    qat(images(8))
    assert torch.equal(found.running_mean, kept)


class Tokens(nn.Module):
    """A linear layer over tokens and the batch norm of its features, as in LeViT."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4, momentum=1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x.flatten(2).transpose(1, 2))
        rows: Tensor = self.norm(y.flatten(0, 1))
        return rows.reshape_as(y)


@pytest.mark.parametrize("way", [Live(), Unfolded()])
def test_a_batch_norm_over_tokens_normalizes_their_features(way: Way) -> None:
    model, x = seeded(Tokens()), images(16, seed=1)
    qat = prepared(model, batch_norm=way).train()
    found = qat(x)
    expected = model.train()(x)
    assert (found - expected).abs().max() <= 0.05 * expected.abs().max()
    norms = [net.get_submodule("norm") for net in (qat, model)]
    ours, theirs = (norm.running_var for norm in norms)
    assert torch.allclose(ours, theirs, rtol=0.05)  # type: ignore[arg-type]  # tensors
    assert_evaluates_as_its_program(qat, x)


def test_an_affine_map_is_along_the_channels_in_any_dtype() -> None:
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x = torch.randn(2, 3, 4, 4, generator=generator).to(dtype)
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        factor, offset = torch.randn(2, 3, generator=generator).to(wide)
        found = _affine(x, factor, offset)
        expected = x.double() * factor.double().reshape(3, 1, 1) + offset.double().reshape(3, 1, 1)
        assert found.dtype == dtype
        assert (found.double() - expected).abs().max() <= (
            2**-7 if dtype == torch.bfloat16 else 1e-5
        ) * expected.abs().max()


# --- memory --------------------------------------------------------------------------------------


def test_values_are_dropped_after_their_last_use() -> None:
    """Also what a float value is on its grid."""
    model = net(lambda _, x: F.silu(x))
    qat = prepared(model).train()
    live = {"x": images(2)}
    for step in qat._steps:
        step.run(qat, live)
    assert list(live) == [qat._graph.outputs[0]]
