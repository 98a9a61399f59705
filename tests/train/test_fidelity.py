"""One step of the module in training is one step of the user's model, roundings aside."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd import backward
from torch.nn.utils import parametrizations, parametrize, prune

from tests.nets import images
from tests.train.training import prepared
from zeropoint.errors import TrainingError
from zeropoint.train import Folded, Live, Unfolded
from zeropoint.train.batch_norm import Way
from zeropoint.train.fidelity import unrounded


class Symmetric(nn.Module):
    """A user's own parametrization."""

    def forward(self, weight: Tensor) -> Tensor:
        return 0.5 * (weight + weight.flip(-1))


class Standardized(nn.Conv2d):
    """Weight standardization, in plain code."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight  # once: each reading is a step of a spectral norm's iteration
        weight = weight - weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (weight.std((1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(input, weight, self.bias, padding=1)


class Net(nn.Module):
    """What a weight can be made of, in one network; `train` is the user's own if `keeps` is set."""

    def __init__(self, *, standardized: bool, keeps: bool) -> None:
        super().__init__()
        kind = Standardized if standardized else nn.Conv2d
        self.first = kind(3, 6, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(6), nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(6, 8, 2, 2, bias=False)
        self.last = nn.Conv2d(8, 8, 1)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 0.7))
        self.product = nn.Parameter(torch.randn(8, 5))
        self.keeps = keeps

    def train(self, mode: bool = True) -> "Net":
        super().train(mode)
        if self.keeps:
            self.norm1.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm1(self.first(x)))
        x = torch.relu(self.norm2(self.up(x)))
        y: Tensor = (self.last(x) * self.scale).mean((2, 3)) @ self.product
        return y


def old(function: str) -> Callable[[nn.Module], object]:
    """A function of torch.nn.utils that warns that it is old."""

    def apply(layer: nn.Module) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(nn.utils, function)(layer)

    return apply


PRUNE: Any = prune  # torch's functions have no types

KINDS: dict[str, Callable[[Any], object]] = {
    "plain": lambda layer: None,
    "pruned": lambda layer: PRUNE.l1_unstructured(layer, "weight", 0.5),
    "pruned twice": lambda layer: (
        PRUNE.random_structured(layer, "weight", 0.3, dim=0),
        PRUNE.l1_unstructured(layer, "weight", 0.3),
    ),
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "the user's own": lambda layer: parametrize.register_parametrization(
        layer, "weight", Symmetric()
    ),
    "old weight norm": old("weight_norm"),
    "old spectral norm": old("spectral_norm"),
}


def step(model: nn.Module, x: Tensor) -> None:
    """One step of SGD in training mode."""
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.05)
    backward(F.cross_entropy(model(x), torch.arange(len(x)) % 5))
    optimizer.step()


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers."""
    return dict((*model.named_parameters(), *model.named_buffers()))


def assert_steps_alike(model: nn.Module, way: Way) -> None:
    """From equal tensors, every one of the user's is the same after a step, under its own name."""
    qat = prepared(model, batch_norm=way).double()  # float32 falls on other sides of a kink
    model, x = model.double(), images(8, seed=1).double()
    assert model.state_dict().keys() <= qat.state_dict().keys()
    with torch.no_grad():  # the start takes back what rounding shifts: nothing is rounded here
        for name, tensor in tensors(model).items():
            tensors(qat)[name].copy_(tensor)
    step(model, x)
    with unrounded(qat):
        step(qat, x)
    found = tensors(qat)
    for name, tensor in tensors(model).items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=1e-8, msg=name)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == qat.get_parameter(name).requires_grad, name
        assert (parameter.grad is None) == (qat.get_parameter(name).grad is None), name


@settings(max_examples=6, deadline=None)
@given(
    kinds=st.tuples(*[st.sampled_from(sorted(KINDS))] * 3),
    frozen=st.sets(st.integers(0, 12), max_size=3),
    standardized=st.booleans(),
    keeps=st.booleans(),
    way=st.sampled_from([Live(), Unfolded()]),
)
def test_a_step_changes_what_it_changes_in_the_float_model(
    kinds: tuple[str, ...], frozen: set[int], standardized: bool, keeps: bool, way: Way
) -> None:
    torch.manual_seed(0)
    model = Net(standardized=standardized, keeps=keeps)
    for layer, kind in zip((model.first, model.up, model.last), kinds, strict=True):
        KINDS[kind](layer)
    for _ in range(2):
        step(model, images(8, seed=0))
    model.zero_grad()
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index not in frozen)
    assert_steps_alike(model, way)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_computed_weight_is_trained_evaluated_copied_and_converted(kind: str) -> None:
    torch.manual_seed(0)
    model = Net(standardized=False, keeps=False)
    KINDS[kind](model.first)
    step(model, images(8))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    qat = prepared(model)
    for seed in range(2):
        step(qat, images(8, seed=seed))
    x = images(8, seed=5)
    assert torch.equal(copy.deepcopy(qat).eval()(x), qat.eval()(x))
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())
    if "pruned" in kind:
        masked = model.get_buffer("first.weight_mask") == 0
        weights = {n: c for n, c in qat.snapshot().program.graph.constants.items() if c.ndim == 4}
        first = next(c for c in weights.values() if c.shape == masked.shape)
        assert not first[masked].any()


# --- what cannot be kept -------------------------------------------------------------------------


class Reversed(torch.autograd.Function):
    """The identity, with its gradient reversed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


class Swish(torch.autograd.Function):
    """x sigmoid(x), whose backward is its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        y: Tensor = gradients[0] * x.sigmoid() * (1 + x * (1 - x.sigmoid()))
        return y


class Through(nn.Module):
    """A function between two layers."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def through(function: Callable[[Tensor], Tensor]) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), Through(function), nn.Conv2d(4, 5, 1))


def without_gradients(x: Tensor) -> Tensor:
    with torch.no_grad():
        return 2 * x


def test_a_backward_of_ones_own_is_refused_with_its_layer() -> None:
    with pytest.raises(TrainingError) as raised:
        prepared(through(Reversed.apply))
    assert str(raised.value) == (
        "training would change 0.bias, 0.weight otherwise than your model does: it has Reversed "
        "in 1, whose backward is not the derivative of its forward, and the graph that is trained "
        "holds forward() alone; take it out, or freeze what it stops with requires_grad_(False)"
    )


def test_a_backward_that_is_the_derivative_is_none_to_refuse() -> None:
    prepared(through(Swish.apply))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2 * x.detach(),
        lambda x: x + x.detach(),
        lambda x: x + (x.round() - x).detach(),
        without_gradients,
    ],
    ids=["detached", "half of it", "straight through", "no_grad"],
)
def test_gradients_that_are_stopped_are_refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(TrainingError, match=r"training would change 0\.bias, 0\.weight otherwise"):
        prepared(through(function))


def test_what_is_stopped_and_frozen_is_not_refused() -> None:
    model = through(lambda x: 2 * x.detach())
    model.get_submodule("0").requires_grad_(False)
    prepared(model)


def test_a_parameter_that_is_taken_for_a_number_is_named() -> None:
    with pytest.warns(UserWarning, match=r"1\.weight will not be trained") as caught:
        prepared(nn.Sequential(nn.Conv2d(3, 4, 1), nn.PReLU(), nn.Conv2d(4, 5, 1)))
    assert len(caught) == 1


# --- what is not refused falsely -----------------------------------------------------------------


class Clamped(nn.Module):
    """A convolution with channels at the very bounds of what follows."""

    def __init__(self, bound: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.last, self.bound = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 5, 1), bound
        assert self.conv.bias is not None
        with torch.no_grad():
            self.conv.weight[:6] = 0
            self.conv.bias[:3] = 0
            self.conv.bias[3:6] = 6

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.bound(self.conv(x)))
        return y


@pytest.mark.parametrize(
    "bound",
    [
        F.relu,
        F.relu6,
        lambda x: x.clamp(min=0),
        lambda x: x.clamp(0, 6),
        lambda x: F.hardsigmoid(x - 3),
    ],
    ids=["relu", "relu6", "clamp", "clamp at 6", "hardsigmoid"],
)
@pytest.mark.parametrize("way", [Live(), Folded()], ids=repr)
def test_channels_at_a_bound_are_not_refused(bound: Callable[[Tensor], Tensor], way: Way) -> None:
    torch.manual_seed(0)
    prepared(Clamped(bound), batch_norm=way)
