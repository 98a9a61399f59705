"""What one file does: it is refused in words, or it runs and every engine agrees. Else it fails."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor

import zeropoint as zp
from zeropoint.errors import ZeropointError
from zeropoint.execute.agreement import (
    LARGEST_DIFFERENCE,
    in_turn,
    isolated_operators,
    relative_difference,
)
from zeropoint.execute.engines import engines, make_executor
from zeropoint.execute.reference import Reference
from zeropoint.graph.structure import leaves_of
from zeropoint.graph.value import Plain
from zeropoint.model import QuantizedModel
from zeropoint.observe.statistics import Statistics
from zeropoint.ops.allowed import RANDOM
from zeropoint.ops.opaque import Opaque
from zeropoint.program import file
from zeropoint.program.program import Program
from zeropoint.recipe import Recipe


class Outcome(Enum):
    """How a trial ends, in the order of the work that it was."""

    REFUSED = "refused in words when it was loaded"
    REFUSED_LATER = "refused in words when it was run"
    NOT_FINITE = "ran, and computed what is no number"
    RANDOM = "ran, and drew random numbers"
    AGREES = "ran, and every engine agrees"


class Disagreement(AssertionError):
    """An engine computes something else than the reference."""


def of_program(content: bytes) -> Outcome:
    """Load a program, run it on the reference and on every engine that is usable here."""
    try:
        program = file.loads(content)
    except ZeropointError:
        return Outcome.REFUSED
    str(program)
    outcomes = {_of_batch(program, batch, size) for batch, size in ((2, 8), (3, 11))}
    return max(outcomes, key=list(Outcome).index)


def _of_batch(program: Program, batch: int, size: int) -> Outcome:
    inputs = [_input(program, name, batch, size) for name in program.graph.inputs]
    seen: dict[str, Any] = {}
    try:
        expected = leaves_of(QuantizedModel(program, "reference")(*inputs))
        Reference(program).trace(inputs, seen.__setitem__)
    except ZeropointError:
        return Outcome.REFUSED_LATER
    if any(isinstance(x, Tensor) and not torch.isfinite(x.abs()).all() for x in seen.values()):
        return Outcome.NOT_FINITE
    drawn = any(
        isinstance(node.op, Opaque) and node.op.target.split(".")[1] in RANDOM.split()
        for node in program.graph.nodes
    )
    names = [engine.name for engine in engines() if engine.usable and engine.name != "reference"]
    ran = [_of_engine(program, name, inputs, expected, seen, drawn) for name in names]
    return Outcome.RANDOM if drawn else Outcome.AGREES if any(ran) else Outcome.REFUSED_LATER


def _input(program: Program, name: str, batch: int, size: int) -> Tensor:
    value = program.graph.values[name]
    extents = [n if isinstance(n, int) else batch if n == "N" else size for n in value.shape]
    generator = torch.Generator().manual_seed(sum(extents))
    real = torch.randn(extents, generator=generator)
    assert isinstance(value.type, Plain)
    return real if value.type.dtype.is_floating_point else real.abs().to(value.type.dtype)


def _of_engine(
    program: Program,
    name: str,
    inputs: Sequence[Tensor],
    expected: Sequence[Tensor],
    seen: dict[str, Any],
    drawn: bool,
) -> bool:
    """False if the engine refuses in words; Disagreement if it computes something else."""
    try:
        model = QuantizedModel(program, name)
        found = leaves_of(model(*inputs))
    except ZeropointError:
        return False
    if drawn:
        return True
    try:
        operators = isolated_operators(program, lambda alone: make_executor(alone, name))
    except ZeropointError:
        operators = []
    for operator in operators:
        count = operator.difference(operator.run(operator.inputs(seen)), seen)
        if not count.passes_in_network:
            raise Disagreement(f"{name}: {operator.node.output} {operator.node.op} {count}")
    far = _difference(found, expected)
    if far > LARGEST_DIFFERENCE and operators:
        far = min(far, _difference(found, in_turn(program, operators, inputs)))
    if not far <= LARGEST_DIFFERENCE:
        raise Disagreement(f"{name}: outputs differ by {far}")
    return True


def _difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    for ours, theirs in zip(found, expected, strict=True):
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            raise Disagreement(f"{ours.dtype} {ours.shape}, {theirs.dtype} {theirs.shape}")
    pairs = [pair for pair in zip(found, expected, strict=True) if pair[0].numel()]
    return max((relative_difference(*pair) for pair in pairs), default=0.0)


def of_statistics(content: bytes) -> Outcome:
    """Load statistics and ask them everything."""
    try:
        statistics = Statistics.loads(content)
    except ZeropointError:
        return Outcome.REFUSED
    try:
        str(statistics)
        statistics.to_dict(bits=4, symmetric=True)
        merged = statistics.merge(statistics)
        Statistics.loads(merged.dumps())
        for value in statistics.values.values():
            for axis in value.observation.sums:
                value.observation.means(axis)
        _quantize(statistics)
    except ZeropointError:
        return Outcome.REFUSED_LATER
    return Outcome.AGREES


def _quantize(statistics: Statistics) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
    try:
        zp.quantize(model, statistics, Recipe(), engine="reference")
    except ZeropointError:
        return
