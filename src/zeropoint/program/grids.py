"""What the values of a program may be: their grids, the codes of constants, and who reads what.

    activation     2 to 8 bits (16 at most), one scale
    weight         signed, 2 to 8 bits, one scale or one for each output channel; a constant
    bias           int32 at the scale s_x s_w, zero point 0; a constant, a number for each channel
    accumulator    int32 at the scale s_x s_w, zero point 0; read by fences, and moved if it has one
                   scale

Scales are far enough from the ends of float32 that no product or quotient of them gets there, and
no operand is so large that its steps on the grid of the result are beyond float32's integers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import INT32, STORAGE, IntegerType
from zeropoint.arithmetic.qparams import SMALLEST_SCALE, QParams
from zeropoint.errors import ProgramError
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import Grid, IntegerOp, Op, Role
from zeropoint.graph.value import Plain, Quantized, Size, Value
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.movement import Movement
from zeropoint.ops.mul import Mul
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.steps import MOST_STEPS, farthest, largest_operand

LARGEST_SCALE = 2.0**64
SMALLEST_WEIGHT = 2.0**-120
"""A channel of zeros has the scale that its bias needs."""

ACCUMULATORS = 2.0**-126, 2.0**92
"""Their scales: normal numbers, and 2^31 steps of the largest are finite."""

BITS, WEIGHT_BITS = range(2, 17), range(2, 9)
MOST_RANK = 8
BARE = (None, None, ())
"""The bounds and the function of a layer that has none."""


def check_values(graph: Graph) -> None:
    """ProgramError unless every value is well formed, and constants hold what they declare."""
    for name in graph.inputs:
        if not isinstance(graph.values[name].type, Plain):
            raise ProgramError(f"the input {name!r} is no tensor of real numbers")
    for name, value in graph.values.items():
        if len(value.shape) > MOST_RANK:
            raise ProgramError(f"{name!r} has {len(value.shape)} dimensions")
        if any(isinstance(n, int) and n < 0 for n in value.shape):
            raise ProgramError(f"{name!r} has the shape {value.shape}")
        if value.params is not None:
            _check_grid(value, value.params)
    for name, tensor in graph.constants.items():
        _check_constant(graph.values[name], tensor)


def check_node(graph: Graph, node: Node) -> None:
    """ProgramError unless the grids of an integer node's values are those of its operator."""
    if isinstance(node.op, Quantize | Dequantize):
        _check_fence(graph, node)
        return
    assert isinstance(node.op, IntegerOp)  # Program.verify says so
    if len(node.outputs) != 1:
        raise ProgramError(f"{node.output}: {node.op.name} has one result")
    roles = node.op.roles(len(node.inputs))
    for name, role in zip(node.inputs, roles, strict=True):
        _check_role(graph, node, name, role)
    params = [graph.values[name].params for name in node.inputs]
    grids = [params for params in params if params is not None]
    out = graph.values[node.output].params
    assert out is not None  # callers pass integer nodes
    if isinstance(node.op, Convolution | Linear | Add | Mul | Clamp) and out.axis is None:
        _check_bounds(node, node.op.low, node.op.high, out)
    if isinstance(node.op, Convolution | Linear) and node.op.function and out.type.bits > 8:
        raise ProgramError(f"{node.output}: a function onto {out.type} is finer than engines are")
    if node.op.grid is Grid.SHARED:
        if out != grids[0]:
            raise ProgramError(f"{node.output}: {node.op.name} keeps the grid of its operand")
    elif out.type == INT32:
        _check_accumulator(graph, node, grids, out)
    elif not _is_activation(out):
        raise ProgramError(f"{node.output} is {out.type}, which is no type of an activation")
    else:
        _check_steps(node, roles, params, out)


# --- one value -----------------------------------------------------------------------------------


def _check_grid(value: Value, params: QParams) -> None:
    scale, zero_point, name = params.scale, params.zero_point, value.name
    if scale.dtype != torch.float32 or zero_point.dtype != torch.int32:
        raise ProgramError(f"the grid of {name!r} is not of float32 and int32")
    expected = () if params.axis is None else (_channels(value, params.axis),)
    if tuple(scale.shape) != expected or tuple(zero_point.shape) != expected:
        raise ProgramError(f"the grid of {name!r} has {tuple(scale.shape)} scales, not {expected}")
    low, high = (SMALLEST_WEIGHT, LARGEST_SCALE) if params.type != INT32 else ACCUMULATORS
    if not bool(((scale >= low) & (scale <= high)).all()):
        raise ProgramError(f"the grid of {name!r} has a scale that is none")
    type = params.type
    least, most = (0, 0) if type == INT32 else (type.low, type.high)
    if not bool(((zero_point >= least) & (zero_point <= most)).all()):
        raise ProgramError(f"the grid of {name!r} has a zero point outside of its type {type}")
    if type != INT32 and (type.bits not in BITS or not _is_stored(type)):
        raise ProgramError(f"{name!r} is of type {type}; programs have 2 to 8 bits")


def _is_stored(type: IntegerType) -> bool:
    return any(bits >= type.bits and signed == type.signed for bits, signed in STORAGE)


def _channels(value: Value, axis: int) -> int | str:
    if not 0 <= axis < len(value.shape) or not isinstance(value.shape[axis], int):
        raise ProgramError(f"the grid of {value.name!r} has no axis {axis}")
    return value.shape[axis]


def _check_constant(value: Value, tensor: Tensor) -> None:
    if isinstance(value.type, Size):
        raise ProgramError(f"the constant {value.name!r} is declared as a size")
    if tuple(tensor.shape) != value.shape:
        raise ProgramError(
            f"the constant {value.name!r} is declared as {value.shape}, and is "
            f"{tuple(tensor.shape)}"
        )
    params = value.params
    dtype = value.type.dtype if isinstance(value.type, Plain) else _storage(value.type)
    if tensor.dtype != dtype:
        raise ProgramError(f"the constant {value.name!r} holds {tensor.dtype}, not {dtype}")
    if params is not None and tensor.numel():
        least, most = torch.aminmax(tensor)
        if int(least) < params.low or int(most) > params.high:
            raise ProgramError(
                f"the constant {value.name!r} holds what is no code of {params.type}"
            )


def _storage(type: Quantized) -> torch.dtype:
    return type.params.type.storage


# --- one node ------------------------------------------------------------------------------------


def _check_fence(graph: Graph, node: Node) -> None:
    if len(node.inputs) != 1 or len(node.outputs) != 1:
        raise ProgramError(f"{node.output}: {node.op.name} has one operand and one result")
    if node.inputs[0] in graph.constants:
        raise ProgramError(f"{node.output}: {node.op.name} reads the constant {node.inputs[0]!r}")
    read, written = graph.values[node.inputs[0]], graph.values[node.output]
    real, integer = (read, written) if isinstance(node.op, Quantize) else (written, read)
    if real.type != Plain(torch.float32):
        raise ProgramError(f"{node.output}: {real.name!r} is not float32")
    if isinstance(node.op, Quantize) and not _is_activation(integer.params):
        raise ProgramError(f"{node.output} is no activation, and is quantized at run time")


def _is_activation(params: QParams | None) -> bool:
    return (
        params is not None
        and params.type.bits in BITS
        and params.axis is None
        and params.scale.item() >= SMALLEST_SCALE
    )


def _check_role(graph: Graph, node: Node, name: str, role: Role) -> None:
    value = graph.values[name]
    if (role is Role.SIZE) != isinstance(value.type, Size):
        raise ProgramError(f"{node.output}: its operand {name!r} is no {role.value}")
    params = value.params
    if role is Role.ACTIVATION and not (_is_activation(params) or _may_be_wide(node.op, params)):
        raise ProgramError(f"{node.output}: its operand {name!r} is no activation of 2 to 8 bits")
    if role not in (Role.WEIGHT, Role.BIAS):
        return
    if name not in graph.constants:
        raise ProgramError(f"{node.output}: its {role.value} {name!r} is computed")
    if params is None or params.axis not in (None, 0):
        raise ProgramError(f"{node.output}: the grid of its {role.value} is not along axis 0")
    if role is Role.WEIGHT and not (params.type.signed and params.type.bits in WEIGHT_BITS):
        raise ProgramError(f"{node.output}: its weights are {params.type}")


def _may_be_wide(op: Op, params: QParams | None) -> bool:
    """True for an accumulator that is only moved, or bounded."""
    moves = isinstance(op, Movement | Clamp)
    return moves and params is not None and params.type == INT32 and params.axis is None


def _check_accumulator(graph: Graph, node: Node, grids: Sequence[QParams], out: QParams) -> None:
    op = node.op
    whole = isinstance(op, MatMul) or (isinstance(op, Convolution | Linear) and len(grids) == 3)
    rest = isinstance(op, Convolution | Linear) and (op.low, op.high, op.function) != BARE
    if rest or not whole:
        raise ProgramError(f"{node.output}: {op.name} gives no accumulator")
    product = (grids[0].scale.double() * grids[1].scale.double()).float()
    axis = 1 if isinstance(op, Convolution) else len(graph.values[node.output].shape) - 1
    if not torch.equal(out.scale, product) or out.axis not in (None, axis):
        raise ProgramError(f"{node.output}: the accumulator is not at the scale s_x s_w")


def _check_bounds(node: Node, low: float | None, high: float | None, out: QParams) -> None:
    """ProgramError for bounds between which there is no code, to a step."""
    step = out.scale.item()
    least, most = (end.item() for end in out.real_range)
    bottom, top = least if low is None else low, most if high is None else high
    if bottom > top + step or top < least - step or bottom > most + step:
        raise ProgramError(f"{node.output}: no code of its grid is between its bounds")


def _check_steps(
    node: Node, roles: Sequence[Role], grids: Sequence[QParams | None], out: QParams
) -> None:
    """ProgramError for an operand that is far beyond the grid of the result."""
    codes = [farthest(params) for params in grids if params is not None]
    if isinstance(node.op, Mul) and codes[0] * codes[1] >= 2**31:
        raise ProgramError(f"{node.output}: a product of two codes can leave int32")
    assert isinstance(node.op, IntegerOp)  # check_node says so
    if largest_operand(node.op, roles, grids) > MOST_STEPS * out.scale.item():
        raise ProgramError(f"{node.output}: its operands are far beyond the grid of its result")
