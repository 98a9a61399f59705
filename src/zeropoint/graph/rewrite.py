"""The only way a pass edits a graph: collect edits of the old one, then build the new one."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from torch import Tensor

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import Op
from zeropoint.graph.value import Plain, Shape, Value, ValueType

T = TypeVar("T")
OpT = TypeVar("OpT", bound=Op)


class Rewriter:
    """Edits of one graph. Nodes are replaced in place, so the order stays valid.

    >>> # edit = Rewriter(graph); edit.replace(bn, [folded]); edit.remove(conv); graph = edit.done()
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._replaced: dict[int, tuple[Node, ...]] = {}
        self._aliases: dict[str, str] = {}
        self._values: dict[str, Value] = {}
        self._constants: dict[str, Tensor] = {}

    def touched(self, node: Node) -> bool:
        """True if an earlier edit already replaced or removed the node."""
        return id(node) in self._replaced

    def replace(self, node: Node, by: Iterable[Node]) -> None:
        """Put other nodes in the place of one; they must write what readers still need."""
        self._replaced[id(node)] = tuple(by)

    def remove(self, node: Node, *, reads: str | None = None) -> None:
        """Drop a node; whoever read its output reads `reads` instead."""
        self._replaced[id(node)] = ()
        if reads is not None:
            self._aliases[node.output] = reads

    def constant(self, name: str, tensor: Tensor) -> str:
        """Add a constant; returns its name, made unique."""
        unique = self.value(name, tuple(tensor.shape), Plain(tensor.dtype))
        self._constants[unique] = tensor
        return unique

    def value(self, name: str, shape: Shape, type: ValueType | None = None) -> str:
        """Declare a value that a new node writes; returns its name, made unique."""
        unique = name
        while unique in self._graph.values or unique in self._values:
            unique += "'"
        self._values[unique] = Value(unique, type or Plain(), shape)
        return unique

    def done(self) -> Graph:
        """The edited graph, without constants that nothing reads any more; verified."""
        old = self._graph
        nodes = tuple(
            replace(node, inputs=tuple(self._resolve(name) for name in node.inputs))
            for original in old.nodes
            for node in self._replaced.get(id(original), (original,))
        )
        outputs = tuple(self._resolve(name) for name in old.outputs)
        return prune(
            replace(
                old,
                outputs=outputs,
                nodes=nodes,
                values={**old.values, **self._values},
                constants={**old.constants, **self._constants},
            )
        )

    def _resolve(self, name: str) -> str:
        while name in self._aliases:
            name = self._aliases[name]
        return name


def prune(graph: Graph) -> Graph:
    """The graph without nodes, values and constants that no output depends on; verified."""
    needed = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    nodes = tuple(reversed(kept))
    alive = {*graph.inputs, *needed, *(name for node in nodes for name in node.outputs)}
    pruned = replace(
        graph,
        nodes=nodes,
        values=_only(graph.values, alive),
        constants=_only(graph.constants, needed),
    )
    pruned.verify()
    return pruned


def _only(mapping: Mapping[str, T], names: set[str]) -> dict[str, T]:
    return {name: item for name, item in mapping.items() if name in names}


def find(graph: Graph, op: type[OpT]) -> list[tuple[Node, OpT]]:
    """Every node that applies `op`, with the operator typed."""
    return [(node, node.op) for node in graph.nodes if isinstance(node.op, op)]
