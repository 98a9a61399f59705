"""Nodes -> steps: which function computes a node, and the numbers that it is given.

Shapes come from the sample, multipliers from the operators themselves (`sample.py`), and grids from
the program.
"""

from collections.abc import Callable, Mapping

from zeropoint.export.c.at import At
from zeropoint.export.c.elementwise import ELEMENTWISE
from zeropoint.export.c.fields import stored
from zeropoint.export.c.layers import LAYERS
from zeropoint.export.c.moving import MOVING
from zeropoint.export.c.pooling import POOLING
from zeropoint.export.c.sample import Sample
from zeropoint.export.c.step import Alias, Call, Field, Step
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.ops.quantize import Quantize
from zeropoint.ops.shape import SizeArithmetic, SizeOf
from zeropoint.program.program import Program

FUNCTIONS: Mapping[type, Callable[[At], Step | Alias]] = {
    **LAYERS,
    **ELEMENTWISE,
    **MOVING,
    **POOLING,
}


def steps_of(program: Program, sample: Sample) -> dict[str, Step | Alias]:
    """How each value comes to be, in order; inputs and sizes are left out."""
    steps: dict[str, Step | Alias] = {}
    for node in program.graph.nodes:
        if not isinstance(node.op, (Quantize, SizeOf, SizeArithmetic)):
            for name in _constants(program, node):
                steps[name] = _filled(program, sample, name)
            steps[node.output] = FUNCTIONS[type(node.op)](At(program, sample, node))
    return steps


def _constants(program: Program, node: Node) -> list[str]:
    """The operands that are activations, and the same at every run."""
    if not isinstance(node.op, IntegerOp):
        return []
    roles = zip(node.inputs, node.op.roles(len(node.inputs)), strict=True)
    constants = program.graph.constants
    return [name for name, role in roles if role is Role.ACTIVATION and name in constants]


def _filled(program: Program, sample: Sample, name: str) -> Step:
    """A constant, put where other operands are."""
    tensor, params = program.graph.constants[name], program.graph.values[name].params
    assert params is not None  # Program.verify says so
    sample.shapes[name] = tuple(tensor.shape)
    values = stored("values", tensor.flatten(), params)
    fields: dict[str, Field] = {"size": tensor.numel(), "values": values}
    return Step(name, "constant", name, (Call("fill", "contents", fields, (), name),))
