"""What a program does to its float graph, in float: fake quantization, switched on unit by unit.

A *unit* is what adds error of its own:

    a layer     a node that runs in integers: its weights and bias are rounded, and its result is
                clipped and rounded to its grid (an int32 accumulator is not)
    a fence     a float value that integers read, such as the image: clipped and rounded there

With all units on, the values are those of the program under the Float32 profile, up to a step where
float32 sums of the two differ in their last bit; with all off, those of the float model.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, dequantize, simulate
from zeropoint.errors import ProgramError
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import Grid, IntegerOp, Role
from zeropoint.graph.value import Quantized
from zeropoint.graph.walk import Kernel
from zeropoint.ops.quantize import Quantize
from zeropoint.program.program import Program


@dataclass(frozen=True)
class Unit:
    """A source of error: the value it writes (for a fence, the one it reads), and where it acts.

    `start` is the index of the first node that it changes; `node` is None for the model's input.
    """

    value: str
    node: Node | None
    is_fence: bool
    start: int


@dataclass(frozen=True)
class Simulation:
    """A float graph, beside the program that was made of it."""

    graph: Graph
    program: Program

    def __post_init__(self) -> None:
        for name, tensor in self.program.graph.constants.items():
            known = self.graph.constants.get(name)
            if known is None or known.shape != tensor.shape:
                found = "no such value" if known is None else f"the shape {tuple(known.shape)}"
                raise ProgramError(
                    f"the program is not made of this model: {name!r} is {tuple(tensor.shape)} in "
                    f"the program, and the model has {found}; pass the model that was quantized"
                )

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Every unit, in the order in which they act."""
        places = {node.output: index for index, node in enumerate(self.graph.nodes)}
        found = []
        for name in self.fences:
            node = self.graph.producers.get(name)
            start = 0 if node is None else places[node.output] + 1
            found.append(Unit(name, node, is_fence=True, start=start))
        for node in self.graph.nodes:
            if self.runs_in_integers(node) and not _only_moves(node):
                found.append(Unit(node.output, node, is_fence=False, start=places[node.output]))
        return tuple(sorted(found, key=lambda unit: (unit.start, not unit.is_fence)))

    @cached_property
    def fences(self) -> Mapping[str, QParams]:
        """The grids of the float values that integers read, by the float value's name."""
        values = self.program.graph.values
        grids = {
            node.inputs[0]: values[node.output].params
            for node in self.program.graph.nodes
            if isinstance(node.op, Quantize)
        }
        return {name: params for name, params in grids.items() if params is not None}

    @cached_property
    def rounded(self) -> Mapping[str, Tensor]:
        """The program's weights and biases as the real numbers that their integers stand for."""
        values = self.program.graph.values
        return {
            name: dequantize(tensor, params)
            for name, tensor in self.program.graph.constants.items()
            if (params := values[name].params) is not None
        }

    def runs_in_integers(self, node: Node) -> bool:
        """True if the program computes the node's result with integers."""
        value = self.program.graph.values.get(node.output)
        return value is not None and isinstance(value.type, Quantized)

    def grid(self, name: str) -> QParams | None:
        """The grid that a value is narrowed to; None for float values and accumulators."""
        value = self.program.graph.values.get(name)
        params = None if value is None else value.params
        params = params or self.fences.get(name)
        return None if params is None or params.type.bits == 32 else params

    def kernel(self, is_on: Callable[[str], bool]) -> Kernel:
        """Computes a node with the units on of which `is_on` says so, by their values' names."""

        def compute(node: Node, operands: Sequence[Any]) -> Any:
            if not self.runs_in_integers(node):
                return node.op.run(*operands)
            read = self.fenced(node, operands, is_on)
            if not is_on(node.output):
                return node.op.run(*read)
            return self.narrowed(node, node.op.run(*self.with_rounded(node, read)))

        return compute

    def fenced(
        self, node: Node, operands: Sequence[Any], is_on: Callable[[str], bool]
    ) -> tuple[Any, ...]:
        """The operands of an integer node, as the fences that are on have them."""
        return tuple(
            simulate(x, self.fences[name]) if name in self.fences and is_on(name) else x
            for name, x in zip(node.inputs, operands, strict=True)
        )

    def with_rounded(
        self, node: Node, operands: Sequence[Any], roles: Sequence[Role] = (Role.WEIGHT, Role.BIAS)
    ) -> tuple[Any, ...]:
        """The operands, with the constants of the named roles as the program has them."""
        assert isinstance(node.op, IntegerOp)  # callers pass integer nodes
        own = node.op.roles(len(node.inputs))
        return tuple(
            self.rounded[name] if role in roles and name in self.rounded else x
            for name, x, role in zip(node.inputs, operands, own, strict=True)
        )

    def narrowed(self, node: Node, result: Tensor) -> Tensor:
        """The node's result on its grid; as it is, where it stays an accumulator."""
        params = self.grid(node.output)
        return result if params is None else simulate(result, params)


def _only_moves(node: Node) -> bool:
    """True if the node's result is made of its operand's codes, so that nothing is rounded."""
    return isinstance(node.op, IntegerOp) and node.op.grid is Grid.SHARED


def every(name: str) -> bool:
    """All units on: the program."""
    return True


def none(name: str) -> bool:
    """All units off: the float model."""
    return False


def sqnr_db(signal: float, noise: float) -> float:
    """Decibels of a signal's power over that of its error: infinite without an error.

    >>> sqnr_db(100.0, 1.0)
    20.0
    """
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
