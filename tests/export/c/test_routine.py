"""Whole networks in C, beside the reference: what is shared, kept and overwritten on the way."""

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.conformance.draft import Case, Draft, Fill
from tests.conformance.test_networks import networks
from tests.export.c.compiled import COMPILERS, ROUNDINGS, Trial, check, compiler, examples, trial
from tests.nets import Gated, MobileNetLike, Residual, images, lowered, seeded
from zeropoint.arithmetic.fixed_point import Rounding
from zeropoint.arithmetic.granularity import PerChannel
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.capture import capture
from zeropoint.export.c.routine import routine
from zeropoint.observe.min_max import MinMax
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.extremes import Maximum
from zeropoint.ops.linear import Linear
from zeropoint.ops.mul import Mul
from zeropoint.ops.pool import MaxPool2d
from zeropoint.ops.quantize import Dequantize
from zeropoint.ops.shape import Flatten
from zeropoint.ops.table import Table
from zeropoint.passes import simplify
from zeropoint.program.program import Program
from zeropoint.recipe import Recipe, TensorSpec

NETWORKS = 40
GRID = per_tensor(0.043, 100, UINT8)


class LeNet(nn.Module):
    """(N, 3, 32, 32) -> (N, 10): 12 and 32 channels, 256 and 64 features unless they are fewer."""

    def __init__(self, first: int = 256, second: int = 64) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 12, 5, bias=False), nn.Conv2d(12, 32, 3, bias=False)
        self.fc1 = nn.Linear(1152, first, bias=False)
        self.fc2 = nn.Linear(first, second, bias=False)
        self.fc3 = nn.Linear(second, 10, bias=False)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.conv2(self.pool(torch.relu(self.conv1(x))))))
        x = torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1)))))
        y: Tensor = self.fc3(x)
        return y


class Bare(Gated):
    """Functions and gates, and logits without their sigmoid."""

    def head(self, x: Tensor) -> Tensor:
        return x


def program_of(model: nn.Module, x: Tensor, recipe: Recipe | None = None) -> Program:
    return lowered(simplify(capture(seeded(model), (x,))), x, recipe=recipe)


@cache
def trials_of_networks(rounding: Rounding) -> list[Trial]:
    """Networks drawn at random, as far as they have no islands, and two that are not."""
    drawn = [case for case in examples(networks(), NETWORKS) if not case.program.has_islands()]
    assert len(drawn) > NETWORKS / 3
    trials = [trial(case.program, case.inputs, rounding, str(case)) for case in drawn]
    for model in (Residual(), MobileNetLike(), Bare()):
        program, x = program_of(model, images(8)), images(3, seed=1)
        trials.append(trial(program, (x,), rounding, type(model).__name__))
    return trials


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", COMPILERS)
def test_networks_give_the_integers_of_the_reference(
    name: str, rounding: Rounding, tmp_path: Path
) -> None:
    check(trials_of_networks(rounding), compiler(name), tmp_path)


def test_the_lenet_runs_in_less_than_64_kib() -> None:
    found = routine(program_of(LeNet(), images(2, size=32)), [(1, 3, 32, 32)], "double")
    # The first layer's result and its pooled form live at one time; nothing is larger.
    assert found.memory.arena == 12 * 28 * 28 + 12 * 14 * 14
    assert found.ram == found.memory.arena + 3 * 32 * 32 + 4 * 10 < 64 * 1024


# --- what the pipeline does not make, but a program may hold ----------------------------------


@pytest.mark.parametrize("name", COMPILERS)
def test_unusual_programs_give_the_integers_of_the_reference(name: str, tmp_path: Path) -> None:
    cases = [signed_activations(), relu_on_accumulators(), two_outputs_of_one_value(), shared_sum()]
    cases += [signed_functions(), functions_that_do_nothing()]
    trials = [trial(case.program, case.inputs, "double", str(case)) for case in cases]
    check(trials, compiler(name), tmp_path)


def signed_activations() -> Case:
    """int8 all the way, with and without a zero point."""
    draft = Draft(0)
    x = draft.activation((2, 3, 6, 6), per_tensor(0.05, -13, INT8), Fill.EXTREMES)
    y = draft.layer(Conv2d(padding=(1, 1), low=0.0), x, (4, 3, 3, 3), per_tensor(0.3, 0, INT8))
    z = draft.emit(MaxPool2d((2, 2), (2, 2), (1, 1)), y, params=y.params)
    return draft.case(z, draft.emit(Clamp(-1.0, 2.0), z, params=y.params))


def signed_functions() -> Case:
    """Tables, products and the greater of two on int8, of 8 bits and of fewer."""
    draft = Draft(4)
    x = draft.activation((2, 3, 6, 6), per_tensor(0.05, -13, INT8), Fill.EXTREMES)
    silu = Conv2d(padding=(1, 1), function=(("silu", "x"),))
    y = draft.layer(silu, x, (3, 3, 3, 3), per_tensor(0.03, -100, INT8))
    z = draft.emit(Table((("tanh", "x"),)), y, params=per_tensor(0.02, 3, IntegerType(6, True)))
    product = draft.emit(Mul(), y, z, params=per_tensor(0.04, 1, INT8))
    greater = draft.emit(Maximum(), product, z, params=per_tensor(0.05, -7, INT8))
    return draft.case(draft.emit(Table((("abs", "x"),)), greater, params=greater.params), z)


def functions_that_do_nothing() -> Case:
    """A function whose result is always the same code has no stairs."""
    draft = Draft(5)
    x = draft.activation((2, 7), GRID)
    op = Linear(function=(("sigmoid", "x"), ("mul", "x1", 1e-9)))
    return draft.case(draft.layer(op, x, (5, 7), GRID))


def relu_on_accumulators() -> Case:
    """A ReLU that has left the integers together with the accumulators."""
    draft = Draft(1)
    x = draft.activation((2, 7), GRID)
    y = draft.emit(Dequantize(), draft.layer(Linear(), x, (5, 7), None))
    return draft.case(draft.emit(Clamp(0.0), y))


def two_outputs_of_one_value() -> Case:
    """An input that is an output, and a value that leaves under two shapes."""
    draft = Draft(2)
    x = draft.activation((2, 3, 4, 4), GRID)
    y = draft.emit(Clamp(0.0), x, params=GRID)
    return draft.case(x, y, draft.emit(Flatten(), y, params=GRID))


def shared_sum() -> Case:
    """A chain of sums in place, with an operand that is needed again at the end."""
    draft = Draft(3)
    x = draft.activation((1, 2, 5, 5), GRID)
    first = draft.emit(Add(), x, x, params=per_tensor(0.09, 90, UINT8))
    second = draft.emit(Add(low=0.0), first, x, params=per_tensor(0.1, 0, UINT8))
    third = draft.emit(Add(), second, second, params=per_tensor(0.2, 0, UINT8))
    fourth = draft.emit(Add(), third, first, params=per_tensor(0.3, 50, UINT8))
    return draft.case(draft.emit(Clamp(0.0, 20.0), fourth, params=fourth.params))


@pytest.mark.parametrize("name", COMPILERS)
def test_asymmetric_weights_are_written_less_their_zero_points(name: str, tmp_path: Path) -> None:
    spec = TensorSpec(symmetric=False, granularity=PerChannel(), calibrator=MinMax())
    x = images(3)
    wide = trial(program_of(Residual(), x, Recipe(weights=spec)), (x,), "double")
    assert wide.routine.weight_type == "int16_t"
    check([wide], compiler(name), tmp_path)


def test_narrow_asymmetric_weights_fit_int8() -> None:
    spec = TensorSpec(bits=4, symmetric=False, granularity=PerChannel(), calibrator=MinMax())
    x = images(3)
    narrow = program_of(Residual(), x, Recipe(weights=spec))
    assert any(_zero_points(value.params) for value in narrow.graph.values.values())
    assert routine(narrow, [(1, 3, 8, 8)], "double").weight_type == "int8_t"


def _zero_points(params: QParams | None) -> bool:
    return params is not None and params.type.signed and bool(params.zero_point.any())


def test_an_input_that_no_output_depends_on_remains_a_parameter(tmp_path: Path) -> None:
    draft = Draft(4)
    x, _ = draft.activation((1, 3), GRID), draft.activation((1, 4), GRID)
    case = draft.case(draft.emit(Clamp(0.0), x, params=GRID))
    found = trial(case.program, case.inputs, "double")
    assert [port.name for port in found.routine.inputs] == ["input_1", "input_2"]
    check([found], compiler("gcc"), tmp_path)
