"""A program for inputs of one shape: every shape and size a number, every multiplier two integers.

The operators themselves say what they multiply by: their integer forms run once, on zeros, under
an arithmetic that computes nothing and takes notes. So no equation of `ops/` is written twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.fixed_point import Multiplier
from zeropoint.arithmetic.lookup import RealFunction, Staircase, staircase
from zeropoint.arithmetic.qparams import QParams, quantize
from zeropoint.arithmetic.requantize import Grid, Term, fixed_multipliers, unit_multipliers
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp
from zeropoint.graph.walk import walk
from zeropoint.ops.quantize import Quantize
from zeropoint.program.program import Program

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Requantization:
    """One application of equation (3): a multiplier for each term, and the grid of the result.

    Of equation (5) there is a staircase as well, and the multipliers lead to its units.
    """

    multipliers: tuple[Multiplier, ...]
    grid: Grid
    stairs: Staircase | None = None


@dataclass(frozen=True)
class Sample:
    """The shape of each value that a node reads or writes, and the requantizations behind it.

    Of a size, the size itself.
    """

    shapes: dict[str, Shape]
    requantizations: dict[str, tuple[Requantization, ...]]
    sizes: dict[str, int]


def specialize(program: Program, shapes: Sequence[Shape]) -> Sample:
    """The program for inputs of these shapes; RuntimeError if it does not take them."""
    notes = _Notes()
    sample = Sample({}, {}, {})

    def listener(name: str, content: Any) -> None:  # a Tensor, or an int for a size
        if isinstance(content, Tensor):
            sample.shapes[name] = tuple(content.shape)
        else:
            sample.sizes[name] = int(content)
        sample.requantizations[name] = notes.take()

    def kernel(node: Node, operands: Sequence[Any]) -> Any:  # what run_integer and run give
        if isinstance(node.op, Quantize):
            params = program.graph.values[node.output].params
            assert params is not None  # Program.verify says so
            return quantize(operands[0], params)
        if isinstance(node.op, IntegerOp) and program.is_integer(node):
            return node.op.run_integer(operands, program.signature(node), notes)
        return node.op.run(*operands)  # a size, or what follows the integers: its shape is all

    with torch.no_grad():
        zeros = [torch.zeros(shape) for shape in shapes]
        walk(program.graph, zeros, listener=listener, kernel=kernel)
    return sample


class _Notes:
    """An arithmetic that remembers what it is asked."""

    def __init__(self) -> None:
        self._taken: list[Requantization] = []

    def requantize(self, terms: Sequence[Term], grid: Grid) -> Tensor:
        """The real number 0, of the right shape."""
        self._taken.append(Requantization(fixed_multipliers(terms), grid))
        shapes = [tensor.shape for term in terms for tensor in (term.accumulator, term.multiplier)]
        zeros = [torch.zeros(shape, dtype=torch.int32) for shape in shapes]
        return sum(zeros, start=torch.tensor(grid.zero_point, dtype=torch.int32))

    def apply(self, function: RealFunction, terms: Sequence[Term], y: QParams) -> Tensor:
        """The real number 0, of the right shape."""
        stairs = staircase(function, y)
        grid = Grid(int(y.zero_point.item()), y.low, y.high)
        zeros = self.requantize(terms, grid)
        by = unit_multipliers(terms, stairs)
        self._taken[-1] = Requantization(by, grid, stairs)
        return zeros.to(y.type.storage)

    def take(self) -> tuple[Requantization, ...]:
        """What was asked since the last time."""
        taken, self._taken = tuple(self._taken), []
        return taken
