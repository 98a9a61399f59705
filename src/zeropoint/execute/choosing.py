"""engine="auto": the engines timed side by side, and the fastest kept that computes what it should.

    prepare     every usable engine; one that cannot run the program is left out
    time        a few calls in turns, on the given batch or on one sample
    verify      in order of time, beside the reference on one sample: each operator alone, and the
                outputs of the whole; the first that passes is taken

One usable engine is not timed, but verified like any other: no engine is exact by construction but
the reference. A program that has passed on an engine is not verified again on the same sample.
"""

import math
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import RenderableType
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, dequantize
from zeropoint.batches import first_sample
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
from zeropoint.graph.value import Plain, Shape
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
UNVERIFIED = "not verified: no sample of the program's inputs could be made"
SLOWER = "slower"

SIZES = (32, 64, 224, 7)
"""Lengths to try where a program written by hand does not tell."""


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
    given = batch if batch and len(batch[0]) else None
    inputs = given or sample_of(program)
    if inputs is None and executors:
        unverified = [Candidate(name, None, UNVERIFIED) for name in executors]
        return _reference(program, [*refused, *unverified])
    if inputs is None or not executors:
        return _reference(program, refused, "" if names else engines()[0].reason)
    if len(names) == 1:
        return _only(program, executors, inputs, is_sample=given is None)
    return _fastest(program, executors, refused, inputs)


def candidates() -> list[str]:
    """The engines that are usable here, the reference aside."""
    return [engine.name for engine in engines() if engine.usable and engine.name != "reference"]


def sample_of(program: Program) -> tuple[Tensor, ...] | None:
    """One random sample of the shapes that the program was made with, over the whole grids.

    Of a program that does not tell, of the first size that the reference can run.
    """
    shapes = program.provenance.input_shapes
    if len(shapes) == len(program.graph.inputs):
        return _of_shapes(program, shapes)
    declared = [program.graph.values[name].shape for name in program.graph.inputs]
    for size in SIZES:
        inputs = _of_shapes(program, [_with_size(shape, size) for shape in declared])
        with suppress(Exception):  # too small for a window, or not what a layer expects
            Reference(program).run(inputs)
            return inputs
    return None


def _of_shapes(program: Program, shapes: Sequence[tuple[int, ...]]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        _random(shape, _dtype_of(program, name), _grid_of(program, name), generator)
        for name, shape in zip(program.graph.inputs, shapes, strict=True)
    )


def _with_size(shape: Shape, size: int) -> tuple[int, ...]:
    """One sample, in which each length that is not known has this one."""
    first = tuple(n if isinstance(n, int) else 1 for n in shape[:1])
    return first + tuple(length if isinstance(length, int) else size for length in shape[1:])


def _random(
    shape: tuple[int, ...], dtype: torch.dtype, grid: QParams | None, generator: torch.Generator
) -> Tensor:
    if dtype != torch.float32:  # flags, or indices into who knows what: 0 and 1 are in range
        return torch.randint(0, 2, shape, generator=generator).to(dtype)
    if grid is None:  # a float layer reads it
        return torch.randn(shape, generator=generator)
    codes = torch.randint(grid.low, grid.high + 1, shape, generator=generator)
    return dequantize(codes, grid)


def _dtype_of(program: Program, name: str) -> torch.dtype:
    """What an input of the program holds."""
    type = program.graph.values[name].type
    return type.dtype if isinstance(type, Plain) else torch.float32


def _grid_of(program: Program, name: str) -> QParams | None:
    """The grid on which the program quantizes an input."""
    for node in program.graph.nodes:
        if isinstance(node.op, Quantize) and node.inputs[0] == name:
            return program.graph.values[node.output].params
    return None


# --- the three steps -----------------------------------------------------------------------------


def _only(
    program: Program, executors: dict[str, Executor], inputs: Sequence[Tensor], *, is_sample: bool
) -> tuple[str, Executor, Choice]:
    """The one engine there is, if it computes what it should."""
    ((name, executor),) = executors.items()
    if not (is_sample and _verified.knows(program, name)):
        objection = _objection(program, inputs, name, executor)
        if objection is not None:
            return _reference(program, [Candidate(name, None, objection)])
        _verified.add(program, name)
    return name, executor, Choice(name, (), (Candidate(name, None, ONLY),))


def _objection(
    program: Program, inputs: Sequence[Tensor], name: str, executor: Executor
) -> str | None:
    return _Judge(program, inputs).objection(name, executor)


class _Verified:
    """The programs that have passed, by identity, while they live."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Program], set[str]]] = {}

    def knows(self, program: Program, name: str) -> bool:
        known = self._known.get(id(program))
        return known is not None and known[0]() is program and name in known[1]

    def add(self, program: Program, name: str) -> None:
        key = id(program)
        if key not in self._known or self._known[key][0]() is not program:
            gone = weakref.ref(program, lambda _: self._known.pop(key, None))
            self._known[key] = gone, set()
        self._known[key][1].add(name)


_verified = _Verified()


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
        one = first_sample(program.graph, inputs)
        is_whole = [x.shape for x in one] == [x.shape for x in inputs]
        self._sample: Sequence[Tensor] = inputs if is_whole else one
        self._seen: dict[str, Any] = {}
        self._expected: tuple[Any, ...] = ()

    def objection(self, name: str, executor: Executor) -> str | None:
        """What is wrong with an engine; None if it computes what the reference computes."""
        try:
            if not self._seen:
                self._look()
            operators = isolated_operators(self._program, lambda p: make_executor(p, name))
            return self._of_operators(operators) or self._of_outputs(executor, operators)
        except Exception as error:  # as above
            return _first_line(error)

    def _look(self) -> None:
        reference = Reference(self._program)
        try:
            self._expected = reference.trace(self._sample, self._seen.__setitem__)
        except (RuntimeError, IndexError):  # the first dimension counts no samples
            self._sample = self._inputs
            self._expected = reference.trace(self._sample, self._seen.__setitem__)

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
        count, is_one = len(self._inputs[0]), self._sample is not self._inputs
        # Engines have other kernels for other batches: the sample is judged in its own, too.
        found = [
            torch.cat([one, all[:1]]) if is_one and len(one) == 1 and len(all) == count else one
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
