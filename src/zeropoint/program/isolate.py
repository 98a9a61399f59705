"""One operator of a program as a program of its own, so that an engine can be asked about it alone.

    x.real --> quantize --> conv2d --> dequantize --> y.real

Quantizing the real number that a code stands for gives that code back, so the operator sees the
very integers that it sees inside the whole program.
"""

from zeropoint.graph.build import Builder
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.graph.value import Quantized, Value
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.program.program import Program


def isolate(program: Program, node: Node) -> Program | None:
    """The program of one integer node of a verified program; None for one that reads a size.

    Its inputs are the real numbers of `activations_of(node)`, in that order.
    """
    assert isinstance(node.op, IntegerOp)  # callers pass integer nodes
    if Role.SIZE in node.op.roles(len(node.inputs)):
        return None
    to = Builder(origin=node.origin)
    reads: dict[str, Value] = {}
    for name in activations_of(program, node):
        value = program.graph.values[name]
        real = to.input(f"{name}.real", value.shape)
        reads[name] = to.emit(Quantize(), real, shape=value.shape, type=value.type, name=name)
    for name in node.inputs:
        if name in program.graph.constants:
            tensor, type = program.graph.constants[name], program.graph.values[name].type
            reads.setdefault(name, to.constant(name, tensor, type))
    output = program.graph.values[node.output]
    operands = [reads[name] for name in node.inputs]
    result = to.emit(node.op, *operands, shape=output.shape, type=output.type, name=node.output)
    real = to.emit(Dequantize(), result, shape=output.shape, name=f"{node.output}.real")
    return Program(to.done([real]), {})


def activations_of(program: Program, node: Node) -> tuple[str, ...]:
    """The operands that a run computes, each once, in order; the rest are constants."""
    named = dict.fromkeys(name for name in node.inputs if name not in program.graph.constants)
    return tuple(named)


def integer_nodes(program: Program) -> tuple[Node, ...]:
    """The nodes that compute integers from integers, in order."""
    graph = program.graph
    return tuple(
        node
        for node in graph.nodes
        if isinstance(graph.values[node.output].type, Quantized)
        and not isinstance(node.op, Quantize)
    )
