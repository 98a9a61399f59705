"""A node with all that is known of it: what its C is written from."""

from dataclasses import dataclass
from typing import Any

from zeropoint.arithmetic.qparams import QParams
from zeropoint.export.c.codes import Codes, codes, codes_of
from zeropoint.export.c.sample import Requantization, Sample, Shape
from zeropoint.export.c.step import Call, Step
from zeropoint.graph.graph import Node
from zeropoint.program.program import Program


@dataclass(frozen=True)
class At:
    """A node with all that is known of it."""

    program: Program
    sample: Sample
    node: Node

    @property
    def op(self) -> Any:  # the class that FUNCTIONS has found it by
        return self.node.op

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.node.inputs

    @property
    def output(self) -> str:
        return self.node.output

    @property
    def requantizations(self) -> tuple[Requantization, ...]:
        return self.sample.requantizations[self.output]

    def params(self, name: str) -> QParams:
        params = self.program.graph.values[name].params
        assert params is not None  # the refusals say so
        return params

    def zero(self, operand: int) -> int:
        """The code of the real number 0 in an operand."""
        return codes(self.params(self.inputs[operand])).zero

    def shape(self, operand: int) -> Shape:
        return self.sample.shapes[self.inputs[operand]]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes that the node reads besides."""
        return tuple(self.sample.sizes[n] for n in self.inputs if n in self.sample.sizes)

    @property
    def out_shape(self) -> Shape:
        return self.sample.shapes[self.output]

    def codes(self, index: int = 0) -> Codes:
        """The codes of a requantization's result."""
        return codes_of(self.requantizations[index].grid, self.params(self.output))

    def step(self, *calls: Call, overwrites: tuple[str, ...] = ()) -> Step:
        layer = self.node.origin.layer or self.output
        return Step(layer, self.op.name, self.output, calls, overwrites)
