"""What C cannot carry, by layer and reason."""

from collections.abc import Iterator, Sequence

from zeropoint.batches import misfit
from zeropoint.errors import ProgramError
from zeropoint.export.c.codes import is_narrow, is_wide
from zeropoint.export.c.routine import routine
from zeropoint.export.c.sample import Shape
from zeropoint.export.c.steps import FUNCTIONS
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.reduce import Amax, Mean, Sum
from zeropoint.ops.shape import Flatten, Reshape, SizeArithmetic, SizeOf, Squeeze, Unsqueeze
from zeropoint.ops.upsample import Interpolate
from zeropoint.program.program import Program

REAL = "its activation is computed on real numbers"
MOVES = (Flatten, Reshape, Squeeze, Unsqueeze)
"""They leave accumulators as they are; everything else reads 8 bits."""


def refusal_of(program: Program, shapes: Sequence[Shape] | None) -> str | None:
    """The layer that C cannot carry and why, or what is wrong with the shapes of the inputs."""
    for node in program.graph.nodes:
        reason = _why_not(program, node)
        if reason is not None:
            return f"{node.origin.layer or node.output}: {reason}"
    return next(_of_outputs(program), None) or _of_shapes(program, shapes)


def _why_not(program: Program, node: Node) -> str | None:
    op = node.op
    if node.output in program.islands:
        return f"it stays float ({program.islands[node.output]})"
    if isinstance(op, (SizeOf, SizeArithmetic, Dequantize)):
        return None
    if isinstance(op, Quantize):
        if node.inputs[0] not in program.graph.inputs:
            return "it quantizes real numbers that the network computes"
        return _grid(program, node)
    if not program.is_integer(node):
        return None if _follows_accumulators(program, node) else REAL
    if type(op) not in FUNCTIONS:
        return f"there is no C for {op.name} yet"
    return _why_not_this(program, node) or _operands(program, node) or _grid(program, node)


def _follows_accumulators(program: Program, node: Node) -> bool:
    """True for what is on r = s q what it is on q: another shape, and max(r, 0) = s max(q, 0).

    Any other bound is between two q, and a scale for each channel has to stay with its axis.
    """
    relu = isinstance(node.op, Clamp) and (node.op.low, node.op.high) == (0.0, None)
    if not relu and not isinstance(node.op, MOVES):
        return False
    before = program.graph.producers[node.inputs[0]]  # of accumulators: Program.verify says so
    return isinstance(before.op, Dequantize) or _follows_accumulators(program, before)


def _why_not_this(program: Program, node: Node) -> str | None:
    """What some operators have in some forms only."""
    op, shapes = node.op, [program.graph.values[name].shape for name in node.inputs]
    if isinstance(op, Mean | Sum | Amax):
        rank = len(shapes[0])
        last = op.axes == tuple(range(rank - len(op.axes), rank))
        return None if last else f"there is C for {op.name} over the last dimensions only"
    if isinstance(op, Interpolate) and len(shapes[0]) == 5:
        return "there is no C for interpolation in three dimensions yet"
    if isinstance(op, MatMul) and shapes[0][:-2] != shapes[1][:-2]:
        return "there is no C for matrices that broadcast yet"
    return None


def _operands(program: Program, node: Node) -> str | None:
    assert isinstance(node.op, IntegerOp)  # _why_not has seen to the others
    for name, role in zip(node.inputs, node.op.roles(len(node.inputs)), strict=True):
        params = program.graph.values[name].params
        if role is not Role.ACTIVATION or params is None:
            continue
        if not is_narrow(params) and not isinstance(node.op, MOVES):
            return f"its operand {name!r} has {params.type.bits} bits"
    return None


def _grid(program: Program, node: Node) -> str | None:
    params = program.graph.values[node.output].params
    assert params is not None  # callers pass integer nodes
    layer = isinstance(node.op, Convolution | Linear | MatMul) and len(node.inputs) <= 3
    if is_narrow(params) or (is_wide(params) and (layer or isinstance(node.op, MOVES))):
        return None
    return f"its result has {params.type.bits} bits, or a scale for each channel"


def _of_outputs(program: Program) -> Iterator[str]:
    for name in program.graph.outputs:
        node = program.graph.producers.get(name)
        if node is None or isinstance(node.op, (SizeOf, SizeArithmetic)):
            yield f"output {name!r}, which no integer operator computes"


def _of_shapes(program: Program, shapes: Sequence[Shape] | None) -> str | None:
    found = shapes if shapes is not None else sample_shapes(program)
    names = program.graph.inputs
    declared = [program.graph.values[name].shape for name in names]
    if found is None or len(found) != len(names):
        wanted = ", ".join(f"({', '.join(map(str, shape))})" for shape in declared)
        return (
            f"inputs of any size; pass input_shapes=, one for each of {len(names)} "
            f"input(s) of shape {wanted}"
        )
    wrong = misfit(found, declared)
    if wrong is not None:
        wanted = ", ".join(map(str, declared[wrong]))
        return f"input {names[wrong]!r} of shape {found[wrong]}; the model takes ({wanted})"
    try:
        routine(program, found, "double")
    except (RuntimeError, ValueError, ProgramError) as error:
        first = str(error).partition("\n")[0]
        return f"inputs of shape {' and '.join(map(str, found))}: {first}"
    return None


def sample_shapes(program: Program) -> tuple[Shape, ...] | None:
    """One image of the size that the program was calibrated with, or that its inputs declare."""
    declared = [program.graph.values[name].shape for name in program.graph.inputs]
    known = program.provenance.input_shapes
    shapes = known if len(known) == len(declared) else declared
    pairs = zip(declared, shapes, strict=True)
    ones = [tuple(n if isinstance(n, int) else 1 for n in d[:1]) + s[1:] for d, s in pairs]
    if any(isinstance(size, str) for shape in ones for size in shape):
        return None
    return tuple(tuple(int(size) for size in shape) for shape in ones)
