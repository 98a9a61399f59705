"""How far an engine's integers are from the reference's: counted, one operator at a time.

Each operator gets the reference's own integers, so that a difference is the operator's own and not
what an earlier one has left behind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, broadcast, dequantize
from zeropoint.execute.executor import Executor
from zeropoint.graph.graph import Node
from zeropoint.program.isolate import activations_of, integer_nodes, isolate
from zeropoint.program.program import Program

ONE_IN = 10_000
"""At most one integer in so many may be a step away from the reference's, in any one operator."""

SMALLEST_DIFFERENCE = 2.0**-20
"""Outputs this close, relative to the largest, differ by float32 rounding alone."""

LARGEST_DIFFERENCE = 0.5
"""Outputs further apart, relative to the largest, come from something else than rounding.

One integer a step off in an early layer of an untrained deep network moves its outputs by up to a
tenth; an operator that reads the wrong value, or the wrong zero point, by about their size.
"""


@dataclass(frozen=True)
class Count:
    """Of `compared` integers `differing` are not the reference's, the worst by `largest` steps."""

    compared: int = 0
    differing: int = 0
    largest: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.compared + other.compared,
            self.differing + other.differing,
            max(self.largest, other.largest),
        )

    @property
    def passes(self) -> bool:
        """At most one step, and at most one in 10,000 (one, where fewer were compared)."""
        return self.largest <= 1 and self.differing * ONE_IN <= max(self.compared, ONE_IN)


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
        return self.between(found, seen[self.node.output].to(torch.int64))

    def between(self, found: Tensor, expected: Tensor) -> Count:
        """One set of its integers beside another."""
        steps = (found - expected).abs()
        if self.grid.type.bits == 32:  # it left as float32: its own steps are wider beyond 2^24
            steps = torch.where(steps <= expected.abs() * SMALLEST_DIFFERENCE, 0, steps)
        return Count(steps.numel(), int(steps.count_nonzero()), int(steps.max()))


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


def _grid(program: Program, name: str) -> QParams:
    params = program.graph.values[name].params
    assert params is not None  # integer nodes read and write integers
    return params


def _codes(real: Tensor, grid: QParams) -> Tensor:
    """The integers that a dequantized result stands for."""
    scale = broadcast(grid.scale, real.ndim, grid.axis).to(torch.float64)
    zero_point = broadcast(grid.zero_point, real.ndim, grid.axis)
    return torch.round(real.to(torch.float64) / scale).to(torch.int64) + zero_point
