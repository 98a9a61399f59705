"""The reference executor: what a program means, integer by integer.

Each operator's integer form is beside its float form in `ops/`, after the numbered equations of
docs/arithmetic.md. Other engines are checked against this one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import dequantize, quantize
from zeropoint.arithmetic.requantize import Arithmetic, Float32
from zeropoint.execute.executor import Executor
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp
from zeropoint.graph.walk import Listener, walk
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.program.program import Program


class Reference(Executor):
    """Exact integers in torch, under the arithmetic profile of your choice."""

    def __init__(self, program: Program, arithmetic: Arithmetic | None = None) -> None:
        self._program = program
        self._arithmetic = arithmetic or Float32()

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The program's outputs."""
        return self.trace(inputs, None)

    def trace(self, inputs: Sequence[Tensor], listener: Listener | None) -> tuple[Any, ...]:
        """The program's outputs; the listener sees every value, integers as they are."""
        with torch.no_grad():
            return walk(self._program.graph, inputs, listener=listener, kernel=self.compute)

    def compute(self, node: Node, operands: Sequence[Any]) -> Any:
        """The result of one node: integers for an integer operator, which gets integers."""
        values = self._program.graph.values
        if isinstance(node.op, Quantize):
            return quantize(operands[0], _params(values[node.output].params))
        if isinstance(node.op, Dequantize):
            return dequantize(operands[0], _params(values[node.inputs[0]].params))
        if isinstance(node.op, IntegerOp) and self._program.is_integer(node):
            return node.op.run_integer(operands, self._program.signature(node), self._arithmetic)
        return node.op.run(*operands)


def _params(params: Any) -> Any:
    assert params is not None  # Program.verify says so
    return params
