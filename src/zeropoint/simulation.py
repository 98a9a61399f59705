"""What a program does to its float graph, in float: fake quantization, switched on unit by unit.

A *unit* is what adds error of its own:

    a layer     a node that runs in integers: its weights and bias are rounded, and its result is
                clipped and rounded to its grid (an int32 accumulator is not)
    a fence     a float value that integers read, such as the image: clipped and rounded there

What only moves codes (a flatten, a max pool) is no unit: it is narrowed where its source is.

With all units on, the values are those of the program under the Float32 profile, up to a step where
float32 sums of the two differ in their last bit; with all off, those of the float model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, dequantize, quantize, simulate
from zeropoint.errors import ProgramError
from zeropoint.graph.channels_last import as_channels_last
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import Grid, IntegerOp, Op, Role
from zeropoint.graph.value import Quantized
from zeropoint.graph.walk import Kernel
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.program.program import Program

MOST_STEPS = 1
"""A weight that was learned to round up or down lies within one step of the model's, not half."""


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
    """A float graph, beside the program that was made of it; ProgramError if it was not."""

    graph: Graph
    program: Program

    def __post_init__(self) -> None:
        different = _first_difference(self.graph, self.program)
        if different is not None:
            raise ProgramError(
                f"the program is not made of this model: {different}; pass the model that was "
                "quantized, with the weights it had then"
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
            if self.runs_in_integers(node) and not only_moves(node):
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
            name: as_channels_last(dequantize(tensor, params))
            for name, tensor in self.program.graph.constants.items()
            if (params := values[name].params) is not None
        }

    @cached_property
    def sources(self) -> Mapping[str, str]:
        """The unit whose grid each integer value, and each fence, is on: the value's own or not."""
        sources = {name: name for name in self.fences}
        for node in self.graph.nodes:
            if self.runs_in_integers(node):
                name = node.output
                sources[name] = sources[node.inputs[0]] if only_moves(node) else name
        return sources

    def runs_in_integers(self, node: Node) -> bool:
        """True if the program computes the node's result with integers."""
        value = self.program.graph.values.get(node.output)
        return value is not None and isinstance(value.type, Quantized)

    def has_weight(self, node: Node) -> bool:
        """True if the node multiplies with weights that the program has rounded."""
        return isinstance(node.op, IntegerOp) and Role.WEIGHT in node.op.roles(len(node.inputs))

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
            if not is_on(self.sources[node.output]):
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
        self, node: Node, operands: Sequence[Any], roles: Sequence[Role] = tuple(Role)
    ) -> tuple[Any, ...]:
        """The operands, with the constants of the named roles as the program has them."""
        assert isinstance(node.op, IntegerOp)  # callers pass integer nodes
        own = node.op.roles(len(node.inputs))
        return tuple(
            self.rounded[name] if role in roles and name in self.rounded else x
            for name, x, role in zip(node.inputs, operands, own, strict=True)
        )

    def with_corrected(self, node: Node, operands: Sequence[Any]) -> tuple[Any, ...]:
        """The operands with the program's weights, and biases as far as those were corrected.

        A bias that lies further from the model's than rounding explains was.
        """
        found = list(self.with_rounded(node, operands, (Role.WEIGHT,)))
        assert isinstance(node.op, IntegerOp)  # callers pass integer nodes
        for place, role in enumerate(node.op.roles(len(node.inputs))):
            name = node.inputs[place]
            params = self.program.graph.values[name].params if name in self.rounded else None
            if role is Role.BIAS and params is not None:
                own, theirs = self.rounded[name], operands[place]
                found[place] = torch.where((own - theirs).abs() > params.scale, own, theirs)
        return tuple(found)

    def narrowed(self, node: Node, result: Tensor) -> Tensor:
        """The node's result on its grid; as it is, where it stays an accumulator."""
        params = self.grid(node.output)
        return result if params is None else simulate(result, params)


def only_moves(node: Node) -> bool:
    """True if the node's result is made of its operand's codes, so that nothing is rounded."""
    return isinstance(node.op, IntegerOp) and node.op.grid is Grid.SHARED


def every(name: str) -> bool:
    """All units on: the program."""
    return True


def none(name: str) -> bool:
    """All units off: the float model."""
    return False


def _first_difference(graph: Graph, program: Program) -> str | None:
    """What shows that a program was made of another model; None if nothing does."""
    if program.graph.inputs != graph.inputs:
        return f"it takes {_listed(program.graph.inputs)}, the model {_listed(graph.inputs)}"
    for node in program.graph.nodes:
        if isinstance(node.op, (Quantize, Dequantize)):
            continue
        found = graph.producers.get(node.output.removesuffix(".clamped"))
        if found is None or (found.output == node.output and not _alike(found.op, node.op)):
            had = "no such value" if found is None else f"{found.op} there"
            return f"{node.output!r} is the result of {node.op}, and the model has {had}"
        for name in node.inputs:
            if name in program.graph.constants:
                different = _different_constant(name, graph, program)
                if different is not None:
                    return different
    return None


def _alike(real: Op, lowered: Op) -> bool:
    """True if lowering makes the one of the other: an accumulator leaves what follows it behind."""
    if isinstance(real, (Convolution, Linear)) and real != lowered:
        return replace(real, low=None, high=None, function=()) == lowered
    return real == lowered


def _different_constant(name: str, graph: Graph, program: Program) -> str | None:
    tensor, known = program.graph.constants[name], graph.constants.get(name)
    if known is None or known.shape != tensor.shape:
        found = "no such value" if known is None else f"the shape {tuple(known.shape)}"
        return f"{name!r} is {tuple(tensor.shape)} in the program, and the model has {found}"
    params = program.graph.values[name].params
    if params is None:
        equal = torch.equal(tensor, known.detach())
        return None if equal else f"{name!r} has other numbers than in the model"
    if params.type.bits == 32:
        return None  # a bias may have been corrected for what the weights' rounding shifts
    steps = quantize(known.detach().to(torch.float64), params).to(torch.int32) - tensor
    far = steps.abs() > MOST_STEPS
    if not bool(far.any()):
        return None
    return (
        f"{int(far.sum())} of the {far.numel()} numbers of {name!r} lie up to "
        f"{int(steps.abs().max())} steps of its grid from the model's"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
