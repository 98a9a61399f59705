"""engine="auto": the engines timed side by side, and the fastest kept that computes what it should.

    prepare     every usable engine; one that cannot run the program is left out
    time        a few calls in turns, on the given batch or on one sample
    verify      in order of time, beside the reference on one sample: each operator alone, and the
                outputs of the whole; the first that passes is taken

One usable engine is taken as it is: there is nothing to choose.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import RenderableType
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, dequantize
from zeropoint.execute.agreement import (
    LARGEST_DIFFERENCE,
    Count,
    Isolated,
    in_turn,
    isolated_operators,
    relative_difference,
)
from zeropoint.execute.engines import engines, make_executor, warn_of_the_reference
from zeropoint.execute.executor import Executor
from zeropoint.execute.reference import Reference
from zeropoint.ops.quantize import Quantize
from zeropoint.program.program import Program
from zeropoint.render import as_text, table

TURNS = 10
SECONDS = 0.5
"""No further turn begins after so long: a slow network's times differ little from call to call."""

CLEARLY = 0.9
"""An engine goes before one listed ahead of it if it takes less than this share of its time.

Brief times are no better than this, and two runs should choose the same engine.
"""

FASTEST = "the fastest that passes"
ONLY = "the only usable engine"
FIRST = "the first that can run it: the sizes of its inputs are not known"
SLOWER = "slower"


@dataclass(frozen=True)
class Candidate:
    """An engine, its best time for one call, and why it was taken, left aside or refused."""

    engine: str
    milliseconds: float | None
    verdict: str


@dataclass(frozen=True)
class Choice:
    """How engine="auto" came to its engine; prints as a table."""

    engine: str
    shapes: tuple[tuple[int, ...], ...]
    """Of the inputs that were timed; empty where there was nothing to choose."""

    candidates: tuple[Candidate, ...]

    def __rich__(self) -> RenderableType:
        shapes = " and ".join(str(shape) for shape in self.shapes)
        title = f"engine for inputs of shape {shapes}" if shapes else "engine"
        rows = []
        for candidate in self.candidates:
            measured = candidate.milliseconds
            took = "" if measured is None else f"{measured:.2f}"
            rows.append((candidate.engine, took, candidate.verdict))
        return table(("engine", "ms", ""), rows, title=title)

    def __str__(self) -> str:
        return as_text(self.__rich__())


def choose(program: Program, batch: Sequence[Tensor] | None = None) -> tuple[str, Executor, Choice]:
    """The engine for a program, and the program prepared for it, by its time on `batch`.

    Without a batch one sample of the shapes is timed that the program was made with. The reference
    is the last resort, with a warning that tells what became of the others.
    """
    names = candidates()
    executors, refused = _prepared(program, names)
    inputs = batch if batch and len(batch[0]) else sample_of(program)
    if len(names) > 1 and inputs is not None:
        return _fastest(program, executors, refused, inputs)
    for name, executor in executors.items():  # of a program written by hand nobody knows the sizes
        verdict = ONLY if len(names) == 1 else FIRST
        return name, executor, Choice(name, (), (Candidate(name, None, verdict),))
    return _reference(program, refused, "" if names else engines()[0].reason)


def candidates() -> list[str]:
    """The engines that are usable here, the reference aside."""
    return [engine.name for engine in engines() if engine.usable and engine.name != "reference"]


def sample_of(program: Program) -> tuple[Tensor, ...] | None:
    """One random sample of the shapes that the program was made with, over the whole grids."""
    shapes = program.provenance.input_shapes
    if len(shapes) != len(program.graph.inputs):
        return None
    generator = torch.Generator().manual_seed(0)
    return tuple(
        _random(shape, _grid_of(program, name), generator)
        for name, shape in zip(program.graph.inputs, shapes, strict=True)
    )


def _random(shape: tuple[int, ...], grid: QParams | None, generator: torch.Generator) -> Tensor:
    if grid is None:  # a float layer reads it
        return torch.randn(shape, generator=generator)
    codes = torch.randint(grid.low, grid.high + 1, shape, generator=generator)
    return dequantize(codes, grid)


def _grid_of(program: Program, name: str) -> QParams | None:
    """The grid on which the program quantizes an input."""
    for node in program.graph.nodes:
        if isinstance(node.op, Quantize) and node.inputs[0] == name:
            return program.graph.values[node.output].params
    return None


# --- the three steps -----------------------------------------------------------------------------


def _fastest(
    program: Program,
    executors: dict[str, Executor],
    refused: Sequence[Candidate],
    inputs: Sequence[Tensor],
) -> tuple[str, Executor, Choice]:
    seconds, failed = _timed(executors, inputs)
    judge, told = _Judge(program, inputs), [*refused, *failed]
    order = _in_order(seconds)
    for place, name in enumerate(order, start=1):
        measured = 1e3 * seconds[name]
        objection = judge.objection(name, executors[name])
        if objection is None:
            rest = [Candidate(each, 1e3 * seconds[each], SLOWER) for each in order[place:]]
            shapes = tuple(tuple(x.shape) for x in inputs)
            all = (Candidate(name, measured, FASTEST), *rest, *told)
            return name, executors[name], Choice(name, shapes, all)
        told.append(Candidate(name, measured, objection))
    return _reference(program, told)


def _prepared(
    program: Program, names: Sequence[str]
) -> tuple[dict[str, Executor], list[Candidate]]:
    executors, refused = {}, []
    for name in names:
        try:
            executors[name] = make_executor(program, name)
        except Exception as error:  # other libraries raise what they like; others may still run it
            refused.append(Candidate(name, None, _first_line(error)))
    return executors, refused


def _timed(
    executors: dict[str, Executor], inputs: Sequence[Tensor]
) -> tuple[dict[str, float], list[Candidate]]:
    """The best seconds of a few calls to each; those that cannot run the inputs are told."""
    seconds, failed = {}, []
    for name, executor in executors.items():
        try:
            executor.run(inputs)  # the first call prepares for the shapes
            seconds[name] = float("inf")
        except Exception as error:  # as above
            failed.append(Candidate(name, None, _first_line(error)))
    begin = time.perf_counter()
    for _ in range(TURNS):
        for name in seconds:
            executors[name].run(inputs)  # the one before has filled the caches with its weights
            seconds[name] = min(seconds[name], _seconds(executors[name], inputs))
        if time.perf_counter() - begin > SECONDS:
            break
    return seconds, failed


def _seconds(executor: Executor, inputs: Sequence[Tensor]) -> float:
    begin = time.perf_counter()
    executor.run(inputs)
    return time.perf_counter() - begin


def _in_order(seconds: dict[str, float]) -> list[str]:
    """By time, where times differ clearly; else as the engines are listed."""
    order: list[str] = []
    for name, taken in seconds.items():
        place = len(order)
        while place and taken < CLEARLY * seconds[order[place - 1]]:
            place -= 1
        order.insert(place, name)
    return order


class _Judge:
    """The reference's values for one sample, computed when an engine is first held against them."""

    def __init__(self, program: Program, inputs: Sequence[Tensor]) -> None:
        self._program, self._inputs = program, inputs
        self._sample = [x[:1] for x in inputs]
        self._seen: dict[str, Any] = {}
        self._expected: tuple[Any, ...] = ()

    def objection(self, name: str, executor: Executor) -> str | None:
        """What is wrong with an engine; None if it computes what the reference computes."""
        if not self._seen:
            reference = Reference(self._program)
            self._expected = reference.trace(self._sample, self._seen.__setitem__)
        try:
            operators = isolated_operators(self._program, lambda p: make_executor(p, name))
            return self._of_operators(operators) or self._of_outputs(executor, operators)
        except Exception as error:  # as above
            return _first_line(error)

    def _of_operators(self, operators: Sequence[Isolated]) -> str | None:
        total = Count()
        for operator in operators:
            found = operator.run(operator.inputs(self._seen))
            count = operator.difference(found, self._seen)
            total += count
            if not count.passes_in_network:
                return _differ(count, operator.node.origin.layer or operator.node.output)
        return None if total.passes else _differ(total, "all operators")

    def _of_outputs(self, executor: Executor, operators: Sequence[Isolated]) -> str | None:
        alone, together = executor.run(self._sample), executor.run(self._inputs)
        inputs = self._inputs[0]
        # Engines have other kernels for other batches: the sample is judged in its own, too.
        found = [
            torch.cat([one, all[:1]]) if len(all) == len(inputs) else one
            for one, all in zip(alone, together, strict=True)
        ]
        worst = _largest(found, self._expected)
        if worst > LARGEST_DIFFERENCE:  # too far for rounding, unless the network is chaotic
            worst = _largest(found, in_turn(self._program, operators, self._sample))
        if worst <= LARGEST_DIFFERENCE:  # not a number is no agreement
            return None
        return f"an output differs by {100 * worst:.3g} %"


def _largest(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Of the relative differences, nan among them, the worst."""
    differences = [relative_difference(*pair) for pair in zip(found, expected, strict=True)]
    return max(differences, key=lambda difference: (math.isnan(difference), difference))


def _differ(count: Count, where: str) -> str:
    return (
        f"{where}: {count.differing:,} of {count.compared:,} integers differ, "
        f"by up to {count.largest}"
    )


def _reference(
    program: Program, refused: Sequence[Candidate], reason: str = ""
) -> tuple[str, Executor, Choice]:
    told = [candidate.verdict for candidate in refused]
    if len(refused) > 1:
        told = [f"{candidate.engine}: {candidate.verdict}" for candidate in refused]
    warn_of_the_reference(reason or "; ".join(told))
    last = Candidate("reference", None, "the last resort")
    return "reference", Reference(program), Choice("reference", (), (last, *refused))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
