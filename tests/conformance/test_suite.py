"""The suite must notice executors that are wrong."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conformance.suite import Tally, count, only_moves
from zeropoint.execute.executor import Executor
from zeropoint.execute.reference import Reference
from zeropoint.program.program import Program


class Wrong(Executor):
    """The reference, with its first output spoilt."""

    def __init__(self, program: Program, spoil: Callable[[Tensor, float], Tensor]) -> None:
        self._reference = Reference(program)
        self._spoil = spoil
        node = program.graph.producers[program.graph.outputs[0]]
        params = program.graph.values[node.inputs[0]].params
        assert params is not None
        self._step = params.scale.item()

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        first, *others = self._reference.run(inputs)
        return self._spoil(first, self._step), *others


def off_by(steps: int) -> Callable[[Program], Executor]:
    """What makes an executor of which one result is off by so many steps in each program."""

    def spoil(y: Tensor, step: float) -> Tensor:
        y = y.contiguous()
        y.view(-1)[0] += steps * step
        return y

    return lambda program: Wrong(program, spoil)


class Vandal(Reference):
    """The reference, and afterwards other numbers in the caller's input."""

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        outputs = super().run(inputs)
        for x in inputs:
            x.add_(1.0)
        return outputs


def test_a_right_executor_agrees() -> None:
    tally = count(Reference, "add", examples=20)
    assert tally.agrees
    assert tally.outputs > 1000
    assert tally.off == 0


def test_one_step_in_a_few_hundred_results_is_too_much() -> None:
    tally = count(off_by(1), "add", examples=20)
    assert tally.worst == 1
    assert tally.off == 20
    assert not tally.agrees


def test_two_steps_are_an_error_at_once() -> None:
    with pytest.raises(AssertionError, match="off by 2 steps"):
        count(off_by(2), "add", examples=5)


def test_one_step_is_an_error_at_once_where_integers_only_move() -> None:
    assert only_moves("max_pool2d")
    assert not only_moves("requantize")
    with pytest.raises(AssertionError, match="1 integers differ"):
        count(off_by(1), "max_pool2d", examples=5)


def test_an_executor_must_leave_its_inputs_alone() -> None:
    with pytest.raises(AssertionError, match="changed the caller's input"):
        count(Vandal, "flatten", examples=5)


def test_a_result_that_is_not_finite_is_an_error() -> None:
    def spoil(y: Tensor, step: float) -> Tensor:
        return y * torch.inf

    with pytest.raises(AssertionError):
        count(lambda program: Wrong(program, spoil), "add", examples=5)


@pytest.mark.parametrize(
    ("tally", "agrees"),
    [
        (Tally(outputs=500, off=1, worst=1), True),
        (Tally(outputs=500, off=2, worst=1), False),
        (Tally(outputs=30_000, off=3, worst=1), True),
        (Tally(outputs=30_000, off=4, worst=1), False),
        (Tally(outputs=30_000, off=1, worst=2), False),
    ],
)
def test_one_result_in_ten_thousand_may_be_one_step_off(tally: Tally, agrees: bool) -> None:
    assert tally.agrees is agrees


def test_tallies_add_up() -> None:
    assert Tally(10, 2, 1) + Tally(5, 1, 3) == Tally(15, 3, 3)
