"""A few steps of training on random images, and what they must leave behind."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import backward
from torch.optim import Optimizer

import zeropoint as zp
from benchmarks.networks.batch_norm import settle_batch_norm
from tests.integers import assert_same_integers
from tests.nets import images, seeded
from zeropoint.arithmetic.granularity import PerChannel, PerTensor
from zeropoint.execute.reference import Reference
from zeropoint.graph.channels_last import as_channels_last, channels_last
from zeropoint.observe.min_max import MinMax
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.simulation import Simulation
from zeropoint.train.module import QuantizationAware

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.02, momentum=0.9, weight_decay=1e-3),
    "adam": lambda parameters: torch.optim.Adam(parameters, 5e-3),
}


def recipe(
    bits: int = 8,
    *,
    symmetric: bool = False,
    symmetric_weights: bool = True,
    per_tensor: bool = False,
) -> Recipe:
    """Weights and activations of so many bits; `symmetric` speaks of the activations."""
    granularity = PerTensor() if per_tensor else PerChannel()
    return Recipe(
        weights=TensorSpec(bits, symmetric_weights, granularity, MinMax()),
        activations=TensorSpec(bits, symmetric),
    )


def prepared(
    model: nn.Module, wish: Recipe | None = None, *, size: int = 8, **options: object
) -> QuantizationAware:
    """The model in training for the reference engine, calibrated on 16 images."""
    options = {"engine": "reference", **options}
    return zp.prepare_qat(model, [images(16, size=size)], wish, **options)  # type: ignore[arg-type]  # whatever prepare_qat takes


def train(
    qat: nn.Module,
    steps: int = 3,
    *,
    optimizer: Optimizer | None = None,
    size: int = 8,
    first: int = 0,
) -> Optimizer:
    """So many steps on random images with random labels; step i always sees the same ones."""
    optimizer = optimizer or OPTIMIZERS["sgd"](qat.parameters())
    qat.train()
    for step in range(first, first + steps):
        x = images(8, size=size, seed=100 + step)
        outputs = qat(x)
        labels = torch.arange(8) % outputs.shape[1]
        optimizer.zero_grad()
        backward(F.cross_entropy(outputs, labels))
        optimizer.step()
    return optimizer


def assert_evaluates_as_its_program(qat: QuantizationAware, x: Tensor) -> None:
    """What is evaluated and what is converted are one program, to the bit."""
    qat.eval()
    expected = qat.snapshot()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ranges that still move
        q = zp.convert(qat)
    assert str(q.program) == str(expected.program)
    for name, tensor in q.program.graph.constants.items():
        assert torch.equal(tensor, expected.program.graph.constants[name])
    (outputs,) = Reference(q.program).run([as_channels_last(x)])
    assert torch.equal(qat(x), outputs)
    assert_same_integers(simulation_of(qat), x)


def simulation_of(qat: QuantizationAware) -> Simulation:
    """The trained network in float, beside its program."""
    return Simulation(channels_last(qat.trained()[0]), qat.snapshot().program)


def assert_equal_states(found: nn.Module, expected: nn.Module) -> None:
    """Every parameter and buffer is the same to the bit."""
    state, wanted = found.state_dict(), expected.state_dict()
    assert state.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(state[name], tensor), name


def settled(model: nn.Module, *, size: int = 8) -> nn.Module:
    """The model with seeded weights and the running statistics of our images, in eval mode.

    Otherwise training, which normalizes by the batch, begins on grids for other data.
    """
    return settle_batch_norm(seeded(model), [images(64, size=size, seed=50)])


class _Kept(dict[str, Any]):
    """Live values of which none is dropped."""

    def pop(self, *_: object) -> None:
        """Nothing is taken out."""


def values_in_training(qat: QuantizationAware, x: Tensor) -> dict[str, Any]:
    """Every value of a training pass; `name on its grid` is what integers read of a float one."""
    live = _Kept({qat.made.graph.inputs[0]: x})
    for step in qat._steps:
        step.run(qat, live)
    return live
