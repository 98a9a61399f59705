r"""Residual sums are kept on a fine grid, and layers read a coarser copy of them.

    add -> conv, add      =>      add -> requantize -> conv
                                     \------------> add

At few bits a residual stream that is as coarse as the layers' operands loses what the layers add to
it. Published few-bit networks keep it in float; here it is an integer of more bits.

Requires: run after all other passes.
Ensures: the same float function exactly.
"""

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.graph.rewrite import Rewriter
from zeropoint.ops.add import Add
from zeropoint.ops.conv import Convolution
from zeropoint.ops.quantize import Requantize

ADDEND = 3
"""The place of a convolution's addend among its operands."""


def narrow_residuals(graph: Graph) -> Graph:
    """The graph with a requantization between each residual and the layers that read it."""
    edit = Rewriter(graph)
    narrowed: dict[str, str] = {}
    wide = residuals(graph)
    for node in graph.nodes:
        x = node.inputs[0] if _has_weight(node) else ""
        if x not in wide or x in graph.constants:
            continue
        before: list[Node] = []
        if x not in narrowed:
            narrowed[x] = edit.value(f"{x}.narrowed", graph.values[x].shape)
            before.append(Node(Requantize(), (x,), (narrowed[x],), node.origin))
        reading = Node(node.op, (narrowed[x], *node.inputs[1:]), node.outputs, node.origin)
        edit.replace(node, [*before, reading])
    return edit.done()


def residuals(graph: Graph) -> frozenset[str]:
    """The values that additions read and write."""
    found: set[str] = set()
    for node in graph.nodes:
        if isinstance(node.op, Add):
            found.update((*node.inputs, node.output))
        if isinstance(node.op, Convolution) and len(node.inputs) > ADDEND:
            found.update((node.inputs[ADDEND], node.output))
    return frozenset(found)


def _has_weight(node: Node) -> bool:
    return isinstance(node.op, IntegerOp) and Role.WEIGHT in node.op.roles(len(node.inputs))
