"""How far an engine's integers are from the reference's: counted, one operator at a time.

Each operator gets the reference's own integers, so that a difference is the operator's own and not
what an earlier one has left behind. What whole networks answer is held against the reference, too;
where a network magnifies a single step without end, against the engine's own operators in turn.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, broadcast, dequantize
from zeropoint.arithmetic.requantize import Nudged
from zeropoint.execute.executor import Executor
from zeropoint.execute.reference import Reference
from zeropoint.graph.graph import Node
from zeropoint.graph.walk import walk
from zeropoint.program.isolate import activations_of, integer_nodes, isolate
from zeropoint.program.program import Program

ONE_IN = 10_000
"""At most one integer in so many may be a step away from the reference's."""

REPEATED_ONE_IN = 1_000
"""The same for one operator of a network, where few operands occur again and again.

The sum of two codes has 65,536 operands at most. If float32 rounds one of these sums to the other
side of a tie, each place of the image that holds it differs, while all other operators agree.
"""

TIE = 2.0**-12
"""A number this close to a half, in steps, is rounded either way: float32 does not know better."""

SMALLEST_DIFFERENCE = 2.0**-20
"""Outputs this close, relative to the largest, differ by float32 rounding alone."""

LARGEST_DIFFERENCE = 0.5
"""Outputs further apart, relative to the largest, come from something else than rounding.

One integer a step off in an early layer of an untrained deep network moves its outputs by up to a
tenth; an operator that reads the wrong value, or the wrong zero point, by about their size. So does
a step in a network whose function is chaotic: its outputs are then compared `in_turn`.
"""


@dataclass(frozen=True)
class Count:
    """Of `compared` integers `differing` are not the reference's, the worst by `largest` steps.

    `ties` of those stand for numbers that lie as near to both: known of operators that differ more
    often than happens by chance, such as one whose operands are many times the same.
    """

    compared: int = 0
    differing: int = 0
    largest: int = 0
    ties: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.compared + other.compared,
            self.differing + other.differing,
            max(self.largest, other.largest),
            self.ties + other.ties,
        )

    @property
    def passes(self) -> bool:
        """At most one step, and at most one in 10,000 (one, where fewer were compared)."""
        return self.largest <= 1 and self.differing * ONE_IN <= max(self.compared, ONE_IN)

    @property
    def passes_in_network(self) -> bool:
        """At most one step, and but for ties one in 1,000 (one, where fewer were compared)."""
        most = max(self.compared, REPEATED_ONE_IN)
        return self.largest <= 1 and (self.differing - self.ties) * REPEATED_ONE_IN <= most


def network_passes(counts: Iterable[Count]) -> bool:
    """True if the operators of a network, alone and all together, pass."""
    known = list(counts)
    return all(count.passes_in_network for count in known) and sum(known, start=Count()).passes


@dataclass(frozen=True)
class Isolated:
    """An operator of a program, alone on an engine."""

    node: Node
    program: Program
    executor: Executor
    operands: tuple[str, ...]
    """The values of the whole program that it reads, and their grids."""
    grids: tuple[QParams, ...]
    grid: QParams
    """Of its result."""

    def inputs(self, seen: Mapping[str, Tensor]) -> list[Tensor]:
        """What it is given in a run of the whole program whose every value was seen."""
        pairs = zip(self.operands, self.grids, strict=True)
        return [dequantize(seen[name], grid) for name, grid in pairs]

    def run(self, inputs: Sequence[Tensor], executor: Executor | None = None) -> Tensor:
        """Its integers, on another executor of the same program if one is given."""
        return _codes((executor or self.executor).run(inputs)[0], self.grid)

    def difference(self, found: Tensor, seen: Mapping[str, Tensor]) -> Count:
        """Its integers beside those of the run."""
        expected = seen[self.node.output].to(torch.int64)
        count = self.between(found, expected)
        if count.largest > 1 or count.passes_in_network:
            return count
        low, high = (
            self.run(self.inputs(seen), Reference(self.program, Nudged(by))) for by in (-TIE, TIE)
        )
        either = (found != expected) & (low <= found) & (found <= high)
        return replace(count, ties=int(either.count_nonzero()))

    def between(self, found: Tensor, expected: Tensor) -> Count:
        """One set of its integers beside another."""
        steps = (found - expected).abs()
        if self.grid.type.bits == 32:  # it left as float32: its own steps are wider beyond 2^24
            steps = torch.where(steps <= expected.abs() * SMALLEST_DIFFERENCE, 0, steps)
        largest = int(steps.max()) if steps.numel() else 0
        return Count(steps.numel(), int(steps.count_nonzero()), largest)


def isolated_operators(program: Program, make: Callable[[Program], Executor]) -> list[Isolated]:
    """Every integer operator of a program but those that read a size, on the engine of `make`."""
    found = []
    for node in integer_nodes(program):
        alone = isolate(program, node)
        if alone is not None:
            operands = activations_of(program, node)
            grids = tuple(_grid(program, name) for name in operands)
            grid = _grid(program, node.output)
            found.append(Isolated(node, alone, make(alone), operands, grids, grid))
    return found


def in_turn(
    program: Program, operators: Iterable[Isolated], inputs: Sequence[Tensor]
) -> tuple[Any, ...]:
    """The program's outputs if each operator runs alone on the engine, on what it has made so far.

    A whole network makes these outputs on the engine, however far a step by which one operator is
    off carries them from the reference, unless the engine puts its operators together wrongly.
    """
    alone = {operator.node.output: operator for operator in operators}
    reference = Reference(program)

    def compute(node: Node, operands: Sequence[Any]) -> Any:
        if node.output not in alone:
            return reference.compute(node, operands)
        operator = alone[node.output]
        seen = dict(zip(node.inputs, operands, strict=True))
        return operator.run(operator.inputs(seen)).to(operator.grid.type.storage)

    with torch.no_grad():
        return walk(program.graph, inputs, kernel=compute)


def relative_difference(found: Any, expected: Any) -> float:
    """The largest difference over the largest of the expected numbers; nan if one is not finite.

    Of truth values and integers, which are decisions, it is the share of those that differ.
    """
    ours, theirs = numbers_of(found), numbers_of(expected)
    if not theirs.numel():
        return 0.0
    if not torch.as_tensor(expected).is_floating_point():
        return (ours != theirs).double().mean().item()
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())  # infinities have no distance
    distance = torch.where(same, 0.0, (ours - theirs).abs())
    finite = theirs[theirs.isfinite()].abs()
    largest = finite.max().item() if finite.numel() else 1.0
    return distance.max().item() / (largest or 1.0)


def numbers_of(output: Any) -> Tensor:  # a Tensor, or a number
    """An output of any kind as float64."""
    return torch.as_tensor(output).to(torch.float64)


def _grid(program: Program, name: str) -> QParams:
    params = program.graph.values[name].params
    assert params is not None  # integer nodes read and write integers
    return params


def _codes(real: Tensor, grid: QParams) -> Tensor:
    """The integers that a dequantized result stands for."""
    scale = broadcast(grid.scale, real.ndim, grid.axis).to(torch.float64)
    zero_point = broadcast(grid.zero_point, real.ndim, grid.axis)
    return torch.round(real.to(torch.float64) / scale).to(torch.int64) + zero_point
