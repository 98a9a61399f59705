"""The conformance suite: an executor on every operator, beside the reference.

Whoever writes an executor runs

    for title in CASES:
        tally = count(MyExecutor, title)
        assert tally.agrees, f"{title}: {tally}"

The rule: no result is more than one step of its grid away from the reference's, and at most one in
10,000 is away at all, counted over all cases of a title. What only moves or compares integers gives
the same integers. Along the way every executor is held to leave its inputs as they were.

Where this CPU adds two products in 16 bits an engine may refuse weights of which some saturate
there, and nothing else; it is then asked with half the weights, to which the same rule applies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor

from tests.conformance.cases import CASES
from tests.conformance.draft import Case
from zeropoint.errors import SaturationError
from zeropoint.execute.executor import Executor
from zeropoint.execute.reference import Reference
from zeropoint.execute.saturation import first_saturating
from zeropoint.graph.op import Grid, IntegerOp
from zeropoint.ops import OPS
from zeropoint.program.program import Program
from zeropoint.target import cpu

EXAMPLES = 80
ONE_IN = 10_000
FLOAT32_ROUNDING = 2.0**-21
"""A float32 result of a few operations is this close, relatively: where an accumulator beyond 2^24
leaves as float32, its own steps are finer than float32's."""


@dataclass(frozen=True)
class Tally:
    """Of so many outputs so many are off, the worst of them by so many steps."""

    outputs: int = 0
    off: int = 0
    worst: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        worst = max(self.worst, other.worst)
        return Tally(self.outputs + other.outputs, self.off + other.off, worst)

    @property
    def agrees(self) -> bool:
        """True if the rule is kept; of fewer than 10,000 outputs one may be off."""
        return self.worst <= 1 and self.off * ONE_IN <= max(self.outputs, ONE_IN)


def only_moves(title: str) -> bool:
    """True for an operator whose results are integers of its operand, moved or compared."""
    op = OPS[operator(title)]
    return issubclass(op, IntegerOp) and op.grid is Grid.SHARED


def operator(title: str) -> str:
    """The name of the operator that a title of CASES is about."""
    return title.partition(",")[0]


def count(make: Callable[[Program], Executor], title: str, examples: int = EXAMPLES) -> Tally:
    """The tally of an executor over cases of a title; AssertionError shows a minimal bad case."""
    total = Tally()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES[title])
    def check(case: Case) -> None:
        nonlocal total
        case = askable(make, case)
        tally = compare(case, run(make, case), Reference(case.program).run(case.inputs))
        assert tally.worst <= 1, f"off by {tally.worst} steps"
        assert tally.off == 0 or not only_moves(title), f"{tally.off} integers differ"
        total += tally

    check()
    return total


def askable(make: Callable[[Program], Executor], case: Case) -> Case:
    """The case, or where the executor refuses weights that saturate on this CPU, with half of them.

    An executor that neither refuses them nor computes them is found out like any other.
    """
    if not cpu().pairs_saturate or first_saturating(case.program) is None:
        return case
    try:
        make(case.program)
    except SaturationError:
        return replace(case, program=with_half_the_weights(case.program))
    return case


def with_half_the_weights(program: Program) -> Program:
    """The program with weights of which no two products can leave 16 bits."""
    graph = program.graph
    names = [node.inputs[1] for node in program.weighted_nodes()]
    halves = {name: graph.constants[name].div(2, rounding_mode="trunc") for name in names}
    constants = {**graph.constants, **{n: q.to(torch.int8) for n, q in halves.items()}}
    return replace(program, graph=replace(graph, constants=constants))


def run(make: Callable[[Program], Executor], case: Case) -> tuple[Any, ...]:
    """The outputs of an executor, which must leave its inputs alone."""
    before = [x.clone() for x in case.inputs]
    outputs = make(case.program).run(case.inputs)
    for x, copy in zip(case.inputs, before, strict=True):
        assert torch.equal(x, copy), "the executor has changed the caller's input"
    return outputs


def compare(case: Case, found: Sequence[Any], expected: Sequence[Any]) -> Tally:
    """How far the outputs are from the expected ones, in steps."""
    total = Tally()
    for name, ours, theirs in zip(case.program.graph.outputs, found, expected, strict=True):
        assert ours.dtype == theirs.dtype == torch.float32
        assert ours.shape == theirs.shape
        assert torch.isfinite(ours).all()
        distance = (ours.to(torch.float64) - theirs.to(torch.float64)).abs()
        steps = torch.round(distance / unit(case.program, name, theirs))
        total += Tally(steps.numel(), int(steps.count_nonzero()), int(steps.max()))
    return total


def unit(program: Program, name: str, real: Tensor) -> Tensor:
    """One step of an output: its grid's, or where it has none what float32 rounding excuses."""
    fine = real.to(torch.float64).abs() * FLOAT32_ROUNDING
    params = program.graph.values[program.graph.producers[name].inputs[0]].params
    if params is None:  # the result of an island
        return fine.max().clamp(min=torch.finfo(torch.float32).tiny)
    scale = params.scale.to(torch.float64)
    if params.axis is not None:
        scale = scale.reshape([-1 if axis == params.axis else 1 for axis in range(real.ndim)])
    return torch.maximum(scale, fine) if params.type.bits == 32 else scale
