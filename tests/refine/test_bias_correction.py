"""What the rounding of weights shifts, and what is left of it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import MobileNetLike, Residual, images, seeded
from zeropoint.arithmetic.qparams import dequantize, quantize
from zeropoint.observe.observation import Observation
from zeropoint.pipeline import Calibrated, Clock, calibrated
from zeropoint.progress import silent
from zeropoint.refine.bias_correction import correct_biases

COARSE = zp.TensorSpec(bits=4, symmetric=True, granularity=zp.PerChannel())
RECIPE = zp.Recipe(weights=COARSE, gptq=False)


class Tokens(nn.Module):
    """A linear layer over the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x.flatten(2).transpose(1, 2))
        return y


def conv(**options: int) -> nn.Module:
    return nn.Conv2d(4, 6, 3, **options)  # type: ignore[arg-type]  # options of any kind


LAYERS = {
    "convolution": conv(),
    "strided": conv(stride=2),
    "groups": conv(groups=2),
    "transposed": nn.ConvTranspose2d(4, 6, 2, stride=2),
    "transposed groups": nn.ConvTranspose2d(4, 6, 3, stride=3, groups=2),
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(4 * 8 * 8, 6)),
    "tokens": Tokens(),
}


def positive(count: int = 16) -> Tensor:
    """Images whose channels have means of their own, the same everywhere in the image."""
    generator = torch.Generator().manual_seed(0)
    one = torch.rand(count, 4, 1, 1, generator=generator)
    return (one + torch.tensor([0.0, 0.5, 1.0, 3.0]).view(4, 1, 1)).expand(-1, -1, 8, 8).clone()


def made_of(model: nn.Module, x: Tensor, recipe: zp.Recipe = RECIPE) -> Calibrated:
    return calibrated(model, [x], recipe, len(x), "reference", silent, Clock())


def mean_error(model: nn.Module, x: Tensor, *, corrected: bool) -> Tensor:
    """The mean over samples and places of what rounding the weights adds to each channel."""
    made = made_of(model, x)
    asked = replace(RECIPE, bias_correction=corrected)
    graph = correct_biases(made.graph, made.plan, made.observations, asked)
    (node,) = (n for n in graph.nodes if n.op.name in ("linear", "conv2d", "conv_transpose2d"))
    weight, bias = (graph.constants[name].detach().double() for name in node.inputs[1:3])
    rounded = dequantize(quantized(made, node.inputs[1]), made.plan.entries[node.inputs[1]].params)
    operand = x.double()
    operand = operand.flatten(1) if isinstance(model, nn.Sequential) else operand
    operand = operand.flatten(2).mT if isinstance(model, Tokens) else operand
    real = made.graph.constants[node.inputs[2]].detach().double()
    error = node.op.run(operand, rounded.double(), bias) - node.op.run(operand, weight, real)
    axis = error.ndim - 1 if node.op.name == "linear" else 1
    means: Tensor = error.movedim(axis, -1).flatten(0, -2).mean(0)
    return means.abs().max()


def quantized(made: Calibrated, name: str) -> Tensor:

    return quantize(made.graph.constants[name].detach().double(), made.plan.entries[name].params)


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_is_shifted_in_the_mean_any_more(name: str) -> None:
    model, x = seeded(LAYERS[name]), positive()
    before, after = (mean_error(model, x, corrected=corrected) for corrected in (False, True))
    assert before > 1e-3
    assert after < 1e-5


@pytest.mark.parametrize("kind", [Residual, MobileNetLike])
def test_a_network_is_nearer_to_its_float_model(kind: type[nn.Module]) -> None:
    model, x, unseen = seeded(kind()), images(64), images(64, seed=1)
    errors = []
    for corrected in (False, True):
        q = zp.quantize(model, [x], replace(RECIPE, bias_correction=corrected), engine="reference")
        with torch.no_grad():
            errors.append((q(unseen) - model(unseen)).square().mean())
    assert errors[1] < errors[0]


def test_an_override_decides_for_its_layer() -> None:
    model, x = seeded(nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))), positive()
    kept = zp.Recipe(COARSE, bias_correction=False, gptq=False)
    recipe = zp.Recipe(COARSE, overrides={"2": kept})
    made = made_of(model, x, recipe)
    graph = correct_biases(made.graph, made.plan, made.observations, recipe)
    changed = [n for n in graph.constants if graph.constants[n] is not made.graph.constants[n]]
    assert changed == ["0.bias"]


def test_layers_that_stay_float_keep_their_biases() -> None:
    model, x = seeded(nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))), positive()
    recipe = zp.Recipe(COARSE, overrides={"0": None})
    made = made_of(model, x, recipe)
    graph = correct_biases(made.graph, made.plan, made.observations, recipe)
    assert torch.equal(graph.constants["0.bias"], made.graph.constants["0.bias"])
    assert not torch.equal(graph.constants["2.bias"], made.graph.constants["2.bias"])


def test_without_means_nothing_is_corrected() -> None:
    made = made_of(seeded(conv()), positive())
    bare = {name: Observation(seen.histogram) for name, seen in made.observations.items()}
    graph = correct_biases(made.graph, made.plan, bare, RECIPE)
    assert graph.constants == made.graph.constants


def test_statistics_correct_as_the_loader_does(tmp_path: object) -> None:
    model, x = seeded(MobileNetLike()), images(32)
    path = f"{tmp_path}/statistics.safetensors"
    zp.observe(model, [x]).save(path)
    ours = zp.quantize(model, zp.Statistics.load(path), RECIPE, engine="reference").program
    theirs = zp.quantize(model, [x], RECIPE, engine="reference").program
    for name, tensor in theirs.graph.constants.items():
        assert torch.equal(ours.graph.constants[name], tensor), name
