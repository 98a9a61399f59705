"""A graph in static single assignment: every value has one name and is written once.

    inputs -> nodes, in an order in which every operand is written before it is read -> outputs

Graphs are values: a pass returns a new one and shares the constants.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from zeropoint.errors import GraphError
from zeropoint.graph.op import Op
from zeropoint.graph.structure import Leaf, Structure
from zeropoint.graph.value import Value


@dataclass(frozen=True)
class Origin:
    """Where in the user's model a node comes from.

    `layer` is the path in the module tree ("layer1.0.conv1"), `types` the class names of that
    module and its bases, `line` the user's source line.
    """

    layer: str = ""
    types: tuple[str, ...] = ()
    line: str = ""


@dataclass(frozen=True)
class Node:
    """One application of an operator: names of the operands and of the results."""

    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    origin: Origin = Origin()

    @property
    def output(self) -> str:
        """The name of the first result; most nodes have no other."""
        return self.outputs[0]


@dataclass(frozen=True)
class Graph:
    """Nodes over named values; `constants` holds the tensors of the values that no node writes."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    constants: Mapping[str, Tensor]
    structure: Structure = field(default_factory=Leaf)
    """How the outputs are nested: a tensor, a tuple or a dict of them."""

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that writes each value."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def users(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each value, in order; a node that reads it twice appears twice."""
        users: dict[str, list[Node]] = {name: [] for name in self.values}
        for node in self.nodes:
            for name in node.inputs:
                users[name].append(node)
        return {name: tuple(nodes) for name, nodes in users.items()}

    def only_user(self, name: str) -> Node | None:
        """The one node that reads the value; None if there are others, or if it is an output."""
        users = self.users[name]
        return users[0] if len(users) == 1 and name not in self.outputs else None

    @cached_property
    def last_uses(self) -> tuple[tuple[Node, tuple[str, ...]], ...]:
        """Every node with the values that nothing after it needs."""
        remaining = Counter(name for node in self.nodes for name in set(node.inputs))
        remaining.update(self.outputs)
        uses = []
        for node in self.nodes:
            remaining.subtract(set(node.inputs))
            spent = {name for name in (*node.inputs, *node.outputs) if remaining[name] == 0}
            uses.append((node, tuple(sorted(spent - self.constants.keys()))))
        return tuple(uses)

    def verify(self) -> None:
        """GraphError unless each value is declared, written once, and written before it is read."""
        written = Counter((*self.inputs, *self.constants))
        for node in self.nodes:
            for name in node.inputs:
                if name not in written:
                    raise GraphError(f"{node.op.name} reads {name!r} before anything writes it")
            written.update(node.outputs)
        for name, times in written.items():
            if times > 1:
                raise GraphError(f"value {name!r} is written {times} times")
            if name not in self.values:
                raise GraphError(f"value {name!r} has no declared type")
        for name in self.outputs:
            if name not in written:
                raise GraphError(f"output {name!r} is never written")
        if self.structure.leaves() != len(self.outputs):
            raise GraphError(f"{len(self.outputs)} outputs do not fit {self.structure}")
