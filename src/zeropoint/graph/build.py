"""Writing a graph from front to back; what capture rules are given to write with."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zeropoint.graph.graph import Graph, Node, Origin
from zeropoint.graph.op import Op
from zeropoint.graph.structure import Leaf, Structure
from zeropoint.graph.value import Plain, Shape, Value, ValueType

NOT_IN_NAMES = re.compile(r"[\s,%()]")
"""What the text form separates names by; a key of nn.ModuleDict may be any string."""


@dataclass
class Builder:
    """A graph under construction. `origin` and `hint` describe the nodes that are being written."""

    inputs: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    origin: Origin = Origin()
    hint: str = "value"

    def input(self, name: str, shape: Shape, type: ValueType | None = None) -> Value:
        """A new input of the graph."""
        value = self._declare(name, type or Plain(), shape)
        self.inputs.append(value.name)
        return value

    def constant(self, name: str, tensor: Tensor, type: ValueType | None = None) -> Value:
        """A new constant."""
        value = self._declare(name, type or Plain(tensor.dtype), tuple(tensor.shape))
        self.constants[value.name] = tensor
        return value

    def tensor(self, value: Value) -> Tensor | None:
        """The content of a constant; None for a value that only the run knows."""
        return self.constants.get(value.name)

    def writer(self, value: Value) -> Node | None:
        """The node that the value is a result of; None for inputs and constants."""
        return next((node for node in reversed(self.nodes) if value.name in node.outputs), None)

    def emit(
        self, op: Op, *operands: Value, shape: Shape, type: ValueType | None = None, name: str = ""
    ) -> Value:
        """A new node with one result."""
        return self.emit_many(op, operands, [(shape, type or Plain())], name=name)[0]

    def emit_many(
        self,
        op: Op,
        operands: Sequence[Value],
        results: Sequence[tuple[Shape, ValueType]],
        *,
        name: str = "",
    ) -> list[Value]:
        """A new node with a result for each shape and type."""
        values = [self._declare(name or self.hint, type, shape) for shape, type in results]
        inputs = tuple(operand.name for operand in operands)
        outputs = tuple(value.name for value in values)
        self.nodes.append(Node(op, inputs, outputs, self.origin))
        return values

    def done(self, outputs: Sequence[Value], structure: Structure | None = None) -> Graph:
        """The finished graph, verified."""
        graph = Graph(
            inputs=tuple(self.inputs),
            outputs=tuple(value.name for value in outputs),
            nodes=tuple(self.nodes),
            values=dict(self.values),
            constants=dict(self.constants),
            structure=structure or Leaf(),
        )
        graph.verify()
        return graph

    def _declare(self, name: str, type: ValueType, shape: Shape) -> Value:
        base = NOT_IN_NAMES.sub("_", name)
        unique, copies = base, 1
        while unique in self.values:
            copies += 1
            unique = f"{base}:{copies}"
        value = Value(unique, type, shape)
        self.values[unique] = value
        return value


def float_graph(shape: Shape) -> tuple[Builder, Value]:
    """A builder with one float32 input "x" of `shape`: the beginning of most tests and examples."""
    builder = Builder()
    return builder, builder.input("x", shape, Plain(torch.float32))
