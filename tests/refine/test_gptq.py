"""Weights that make up for each other's rounding."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import MobileNetLike, Residual, images, seeded
from zeropoint.arithmetic.granularity import PerChannel
from zeropoint.arithmetic.integer import INT8
from zeropoint.arithmetic.qparams import QParams, dequantize, quantize
from zeropoint.calibrate import weight_grid
from zeropoint.graph.graph import Graph
from zeropoint.ops.conv import CONVS
from zeropoint.pipeline import Clock, calibrated
from zeropoint.progress import silent
from zeropoint.refine.gptq import DAMPING, Moments, compensated, round_weights, windows_of

COARSE = zp.TensorSpec(bits=4, symmetric=True, granularity=PerChannel())
RECIPE = zp.Recipe(weights=COARSE)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def alike(count: int, channels: int, seed: int = 0) -> Tensor:
    """Vectors whose entries go together, and have means."""
    few = drawn(count, 10, seed=seed) @ drawn(10, channels, seed=1)
    return few + 0.5 * drawn(count, channels, seed=seed + 2) + 1


def smooth(count: int, seed: int = 0) -> Tensor:
    """Images whose pixels are like their neighbours, as those of photographs."""
    around = F.pad(images(count, seed=seed), (2, 2, 2, 2), mode="reflect")
    return 4 * F.avg_pool2d(around, 5, 1)


def seen(weight: Tensor, x: Tensor, groups: int = 1) -> Moments:
    moments = Moments(weight, groups)
    for part in torch.split(x, 7):
        moments.add(part)
    return moments


def blocks_of(x: Tensor, moments: Moments, groups: int, inputs: int) -> Iterator[Tensor]:
    """The columns of each block, by hand, filled up with zeros."""
    size = moments.sums.shape[1]
    for group in x.reshape(len(x), groups, inputs).unbind(1):
        for part in torch.split(group, size, dim=1):
            yield F.pad(part, (0, size - part.shape[1])).to(torch.float64)


@pytest.mark.parametrize(("groups", "channels", "kernel"), [(1, 5, 1), (1, 40, 9), (3, 30, 9)])
def test_moments_are_the_covariance_of_each_block(groups: int, channels: int, kernel: int) -> None:
    weight = drawn(6 * groups, channels, kernel)
    x = drawn(50, groups * channels, kernel)
    moments = seen(weight, x, groups)
    found = moments.covariance(centred=True)
    parts = list(blocks_of(x, moments, groups, channels * kernel))
    assert len(found) == len(parts)
    for block, part in zip(found, parts, strict=True):
        expected = part.T.cov(correction=0)
        known = len(x) / (len(x) + len(expected))
        shrunk = known * expected + (1 - known) * expected.diagonal().diag()
        assert torch.allclose(block, shrunk, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "groups"), [((8, 5), 1), ((6, 40, 3, 3), 1), ((12, 30, 3), 3), ((9, 1, 5), 9)]
)
def test_what_is_split_into_blocks_is_joined_again(shape: tuple[int, ...], groups: int) -> None:
    weight = drawn(*shape)
    moments = Moments(weight, groups)
    assert torch.equal(moments.join(moments.split(weight)).reshape(shape), weight)


@given(st.integers(1, 3), st.data())
def test_windows_are_what_a_convolution_multiplies(rank: int, data: st.DataObject) -> None:
    def sizes(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(rank))

    stride, padding, dilation, kernel = sizes(1, 3), sizes(0, 2), sizes(1, 2), sizes(1, 3)
    op = CONVS[rank](stride, padding, dilation)
    x, weight = drawn(2, 3, *sizes(5, 7)), drawn(4, 3, *kernel)
    windows = windows_of(x, op, kernel).flatten(rank + 1)
    expected = op.products(x, weight, torch.zeros(4))
    found = (windows @ weight.flatten(1).T).movedim(-1, 1)
    assert torch.allclose(found, expected, atol=1e-4)


def textbook(steps: Tensor, hessian: Tensor) -> Tensor:
    """Optimal brain quantization in a fixed order: the inverse of H without what is rounded."""
    steps, codes, inverse = steps.clone(), torch.empty_like(steps), hessian.inverse()
    for k in range(steps.shape[1]):
        least = STEPS_BEFORE[:, k].floor()
        codes[:, k] = steps[:, k].round().clamp(least, least + 1)
        error = (steps[:, k] - codes[:, k]) / inverse[k, k]
        steps -= error[:, None] * inverse[k]
        inverse = inverse - inverse[:, k : k + 1] * inverse[k] / inverse[k, k]
    return codes


STEPS_BEFORE = drawn(8, 40, seed=5).clamp(-2, 2).to(torch.float64) * 3


def one_step() -> QParams:
    zeros = torch.zeros(8, dtype=torch.int32)
    return QParams(torch.ones(8), zeros, INT8, 0)


def test_codes_are_those_of_the_textbook() -> None:
    x = alike(400, 40)
    moments = seen(STEPS_BEFORE.to(torch.float32), x)
    covariance = moments.covariance(centred=True)[0]
    damped = covariance + torch.eye(40) * covariance.diagonal().mean() * DAMPING
    codes = compensated(STEPS_BEFORE.to(torch.float32), one_step(), moments, centred=True)
    expected = textbook(STEPS_BEFORE, damped)
    assert (codes != expected).double().mean() < 0.01  # float32 may decide a tie otherwise


def damage(weight: Tensor, codes: Tensor, grid: QParams, x: Tensor) -> Tensor:
    """What rounding adds to the results, but for its mean, which a bias takes off."""
    return (x @ (dequantize(codes, grid) - weight).T).var(0).sum()


@pytest.mark.parametrize("spec", [COARSE, replace(COARSE, symmetric=False)])
def test_less_is_lost_where_inputs_go_together(spec: zp.TensorSpec) -> None:
    weight, x = drawn(16, 200), alike(2000, 200)
    grid = weight_grid(weight, spec)
    codes = compensated(weight, grid, seen(weight, x[:1500]), centred=True)
    nearest = quantize(weight, grid)
    assert damage(weight, codes, grid, x[1500:]) < damage(weight, nearest, grid, x[1500:]) / 2
    assert (codes.int() - nearest.int()).abs().max() == 1
    off = (dequantize(codes, grid) - weight).abs() / grid.scale[:, None]
    inside = (nearest > grid.low) & (nearest < grid.high)
    assert off[inside].max() < 1


def test_inputs_that_have_nothing_to_do_with_each_other_leave_the_nearest() -> None:
    weight = drawn(16, 20)
    x = torch.eye(20)
    moments = seen(weight, torch.cat([x, -x]))
    grid = weight_grid(weight, COARSE)
    assert torch.equal(compensated(weight, grid, moments, centred=True), quantize(weight, grid))


def changed(model: nn.Module, x: Tensor, recipe: zp.Recipe) -> tuple[Graph, list[str]]:
    """The rounded graph, and which of its constants are others."""
    made = calibrated(model, [x], recipe, len(x), "reference", silent, Clock())
    graph = round_weights(made.graph, made.plan, made.moments, recipe)
    return graph, [n for n in graph.constants if graph.constants[n] is not made.graph.constants[n]]


def two() -> nn.Module:
    return seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)))


def test_an_override_decides_for_its_layer() -> None:
    recipe = zp.Recipe(COARSE, overrides={"2": zp.Recipe(COARSE, gptq=False)})
    assert changed(two(), images(8), recipe)[1] == ["0.weight"]


def test_layers_that_stay_float_keep_their_weights() -> None:
    recipe = zp.Recipe(COARSE, overrides={"0": None})
    assert changed(two(), images(8), recipe)[1] == ["2.weight"]


class Twice(nn.Module):
    """One convolution, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.conv(x).relu())
        return y


def test_a_weight_of_two_layers_is_left_to_the_nearest() -> None:
    assert changed(seeded(Twice()), images(8), RECIPE)[1] == []


def test_statistics_leave_the_nearest() -> None:
    model, x = two(), images(8)
    plain = zp.quantize(model, [x], replace(RECIPE, gptq=False), engine="reference")
    q = zp.quantize(model, zp.observe(model, [x]), RECIPE, engine="reference")
    for name, constant in plain.program.graph.constants.items():
        assert torch.equal(q.program.graph.constants[name], constant)


@pytest.mark.parametrize("kind", [Residual, MobileNetLike])
def test_a_network_is_nearer_to_its_float_model(kind: type[nn.Module]) -> None:
    model, x, unseen = seeded(kind()), smooth(64), smooth(64, seed=1)
    errors = []
    for gptq in (False, True):
        q = zp.quantize(model, [x], replace(RECIPE, gptq=gptq), engine="reference")
        with torch.no_grad():
            errors.append((q(unseen) - model(unseen)).square().mean())
    assert errors[1] < errors[0]


def test_the_same_data_give_the_same_weights() -> None:
    first, second = (changed(two(), images(8), RECIPE)[0].constants for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("value", [0.0, 1.0, 1000.0])
def test_inputs_that_never_change_leave_the_nearest(value: float) -> None:
    weight, grid = drawn(16, 20), weight_grid(drawn(16, 20), COARSE)
    moments = seen(weight, torch.full((30, 20), value))
    codes = compensated(weight, grid, moments, centred=True)
    assert (codes != quantize(weight, grid)).double().mean() < 0.1
