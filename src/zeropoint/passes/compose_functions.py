"""Whatever is a function of one value becomes one table.

    x -> sigmoid -> log                        =>    table
    x -> + 3 -> relu6 -> * x -> / 6            =>    table (hard-swish)
    x -> sigmoid -> * x                        =>    table (SiLU)

From an operator backwards: those that only it and each other read are taken in, as long as they
compute element by element; where all that they read is one value, they are a function of it.

Requires: nothing.
Ensures: the same function to float32 rounding. A clamp right behind the value stays outside: the
operator that writes the value can have it for nothing, and its grid is the narrower for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter
from zeropoint.graph.value import Plain
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.functions import ARGUMENT, Step, Steps, applied, place, simplest
from zeropoint.ops.mul import Mul
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.table import Table

REAL = Plain(torch.float32)
INFINITE = float("inf")


def compose_functions(graph: Graph) -> Graph:
    """The graph with one table in the place of all that is a function of one value."""
    edit = Rewriter(graph)
    order = {id(node): place for place, node in enumerate(graph.nodes)}
    for node in reversed(graph.nodes):
        if edit.touched(node) or graph.values[node.output].type != REAL:
            continue
        found = _largest(graph, node, order)
        if found is None:
            continue
        x, parts = found
        for part in parts:
            edit.remove(part)
        op = _as_operator(simplest(_composed(x, sorted(parts, key=lambda part: order[id(part)]))))
        edit.replace(node, [Node(op, (x,), node.outputs, node.origin)])
    return edit.done()


def _as_operator(steps: Steps) -> Table | Clamp:
    (name, *bounds), *others = steps
    if name != "clamp" or others:
        return Table(steps)
    low, high = (bound if isinstance(bound, float) else None for bound in bounds[1:])
    return Clamp(low, high)


Order = Mapping[int, int]
"""The place of each node, by its id."""


def _largest(graph: Graph, node: Node, order: Order) -> tuple[str, list[Node]] | None:
    """The largest set of nodes, ending in this one, that computes a function of one value.

    None where that is what the node is already.
    """
    if _writer(node) is None:
        return None
    taken, reads = [node], set(node.inputs)
    found = None
    while True:
        if len(reads) == 1 and (len(taken) > 1 or len(node.inputs) > 1):
            (x,) = reads
            if _is_argument(graph, x, taken):
                found = x, list(taken)
        before = _next(graph, taken, reads, order)
        if before is None:
            return found
        taken.append(before)
        reads = (reads - {before.output}) | set(before.inputs)


def _is_argument(graph: Graph, x: str, taken: Sequence[Node]) -> bool:
    """True for a real value that is not read by one clamp alone."""
    readers = [node for node in taken if x in node.inputs]
    behind_a_clamp = len(readers) == 1 and isinstance(readers[0].op, Clamp)
    return not behind_a_clamp and x not in graph.constants and graph.values[x].type == REAL


def _next(graph: Graph, taken: Sequence[Node], reads: set[str], order: Order) -> Node | None:
    """The last of the elementwise nodes before those taken that nothing else reads."""
    inside = {id(node) for node in taken}
    candidates = [
        writer
        for name in reads
        if (writer := graph.producers.get(name)) is not None
        and _writer(writer) is not None
        and name not in graph.outputs
        and all(id(user) in inside for user in graph.users[name])
    ]
    return max(candidates, key=lambda node: order[id(node)], default=None)


# --- operators as steps --------------------------------------------------------------------------

Places = Sequence[str]
"""What the operands of a node are called among the values so far."""

Writer = Callable[[Any, Places, int], Steps]
"""(operator, places, how many steps are written) -> the steps of one node."""


def _composed(x: str, nodes: Sequence[Node]) -> Steps:
    """The nodes, in the order of the graph, as a function of x."""
    places = {x: ARGUMENT}
    steps: Steps = ()
    for node in nodes:
        write = _writer(node)
        assert write is not None  # _next takes no other
        steps += write(node.op, [places[name] for name in node.inputs], len(steps))
        places[node.output] = place(len(steps))
    return steps


def _writer(node: Node) -> Writer | None:
    if isinstance(node.op, Opaque):
        infinite = any(item in (INFINITE, -INFINITE) for item in node.op.arguments)
        return None if infinite or node.op.keywords else OPAQUE.get(node.op.target)
    return WRITERS.get(type(node.op))


def _table(op: Table, places: Places, done: int) -> Steps:
    return applied(op.steps, places[0], done)


def _clamp(op: Clamp, places: Places, done: int) -> Steps:
    return (("clamp", places[0], op.low, op.high),)


def _add(op: Add, places: Places, done: int) -> Steps:
    a, b = places
    if op.alpha == 1.0:
        return _bounded(op, ("add", a, b), done)
    if op.alpha == -1.0:
        return _bounded(op, ("sub", a, b), done)
    scaled: Step = ("mul", b, op.alpha)
    return (scaled, *_bounded(op, ("add", a, place(done + 1)), done + 1))


def _mul(op: Mul, places: Places, done: int) -> Steps:
    return _bounded(op, ("mul", *places), done)


def _bounded(op: Add | Mul, step: Step, done: int) -> Steps:
    if op.low is None and op.high is None:
        return (step,)
    return (step, ("clamp", place(done + 1), op.low, op.high))


def _maximum(op: Maximum, places: Places, done: int) -> Steps:
    return (("maximum", *places),)


def _minimum(op: Minimum, places: Places, done: int) -> Steps:
    return (("minimum", *places),)


WRITERS: Mapping[type, Writer] = {
    Table: _table,
    Clamp: _clamp,
    Add: _add,
    Mul: _mul,
    Maximum: _maximum,
    Minimum: _minimum,
}


@dataclass(frozen=True)
class _Call:
    """An operator of torch that is elementwise: its step's name, and the order of its arguments."""

    function: str
    order: tuple[int, ...]

    def __call__(self, op: Opaque, places: Places, done: int) -> Steps:
        read = [
            places[item[1]] if isinstance(item, tuple) else float(item) for item in op.arguments
        ]
        return ((self.function, *(read[i] for i in self.order)),)


OPAQUE: Mapping[str, Writer] = {
    "aten.div.Tensor": _Call("div", (0, 1)),
    "aten.mul.Tensor": _Call("mul", (0, 1)),  # by a condition
    "aten.ge.Scalar": _Call("greater_equal", (0, 1)),
    "aten.gt.Scalar": _Call("greater", (0, 1)),
    "aten.le.Scalar": _Call("less_equal", (0, 1)),
    "aten.lt.Scalar": _Call("less", (0, 1)),
    "aten.masked_fill.Scalar": _Call("where", (1, 2, 0)),
    "aten.where.ScalarOther": _Call("where", (0, 1, 2)),
    "aten.where.ScalarSelf": _Call("where", (0, 1, 2)),
    "aten.where.self": _Call("where", (0, 1, 2)),
}
