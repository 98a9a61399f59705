"""Nodes -> steps: which function computes a node, and the numbers that it is given.

Shapes come from the sample, multipliers from the operators themselves (`sample.py`), and grids from
the program.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from zeropoint.arithmetic.fixed_point import Multiplier
from zeropoint.arithmetic.qparams import QParams, broadcast
from zeropoint.export.c.at import At
from zeropoint.export.c.codes import codes, codes_of, is_wide
from zeropoint.export.c.extents import broadcast_strides, merged_padding
from zeropoint.export.c.gather import offsets
from zeropoint.export.c.sample import Requantization, Sample
from zeropoint.export.c.step import Alias, Array, Call, Field, Step
from zeropoint.export.c.windows import Pair, Windows, as_image, as_pair, windows
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv1d, Conv2d
from zeropoint.ops.conv_transpose import ConvTranspose1d, ConvTranspose2d
from zeropoint.ops.expand import Expand, Repeat
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.movement import put_in
from zeropoint.ops.mul import Mul
from zeropoint.ops.order import Flip, Roll, Take
from zeropoint.ops.pad import CONSTANT, Pad
from zeropoint.ops.permute import Permute
from zeropoint.ops.pool import (
    AdaptiveAveragePool1d,
    AdaptiveAveragePool2d,
    AveragePool1d,
    AveragePool2d,
    GlobalAveragePool,
    MaxPool1d,
    MaxPool2d,
)
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.reduce import Amax, Mean, Sum
from zeropoint.ops.shape import Flatten, Reshape, SizeArithmetic, SizeOf, Squeeze, Unsqueeze
from zeropoint.ops.shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle, Unfold
from zeropoint.ops.slice import Slice
from zeropoint.ops.table import Table
from zeropoint.ops.upsample import Interpolate, Nearest
from zeropoint.program.program import Program

INT32_HIGH = 2**31 - 1

MOVEMENTS = (
    Flatten, Reshape, Squeeze, Unsqueeze, Permute, Slice, Take, Flip, Roll, Expand, Repeat,
    ChannelShuffle, PixelShuffle, PixelUnshuffle, Unfold,
)  # fmt: skip
"""Where an element comes from is all there is to say of them."""
ONE = (1 << 30, 1)
"""The multiplier 1: what it multiplies stays exactly what it is."""


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
    values = _stored("values", tensor.flatten(), params)
    fields: dict[str, Field] = {"size": tensor.numel(), "values": values}
    return Step(name, "constant", name, (Call("fill", "contents", fields, (), name),))


# --- layers --------------------------------------------------------------------------------------


def _conv2d(at: At) -> Step:
    return _layer(at, "conv2d")


def _conv_transpose2d(at: At) -> Step:
    return _layer(at, "conv_transpose2d")


def _layer(at: At, function: str) -> Step:
    op = at.op
    images, in_channels, in_height, in_width = as_image(at.shape(0))
    _, out_channels, out_height, out_width = as_image(at.out_shape)
    weight = at.program.graph.constants[at.inputs[1]]
    _, in_per_group, kernel_height, kernel_width = as_image(weight.shape)
    stride, padding, dilation = as_pair(op.stride), as_pair(op.padding, 0), as_pair(op.dilation)
    fields: dict[str, Field] = {
        "images": images,
        "in_channels": in_channels,
        "in_height": in_height,
        "in_width": in_width,
        "out_channels": out_channels,
        "out_height": out_height,
        "out_width": out_width,
        "in_per_group": in_per_group,
        "out_per_group": out_channels // op.groups,
        "kernel_height": kernel_height,
        "kernel_width": kernel_width,
        "stride_y": stride[0],
        "stride_x": stride[1],
        "padding_y": padding[0],
        "padding_x": padding[1],
        "dilation_y": dilation[0],
        "dilation_x": dilation[1],
        **_weights(at, out_channels),
    }
    x, then = at.inputs[0], "_function" if op.function else ""
    if is_wide(at.params(at.output)):
        return at.step(Call(f"{function}_wide", "convolution", fields, (x,), at.output))
    if len(at.inputs) == 3:
        return at.step(Call(f"{function}{then}", "convolution", fields, (x,), at.output))
    addend = at.inputs[3]
    fields["addend_zero"] = at.zero(3)
    fields["addend_multiplier"] = _one(at.requantizations[0].multipliers[1])
    call = Call(f"{function}_add{then}", "convolution", fields, (x, addend), at.output)
    return at.step(call, overwrites=(addend,))


def _linear(at: At) -> Step:
    *rows, in_features = at.shape(0)
    out_features = at.out_shape[-1]
    fields: dict[str, Field] = {
        "rows": math.prod(rows),
        "in_features": in_features,
        "out_features": out_features,
        **_weights(at, out_features),
    }
    then = "_function" if at.op.function else ""
    function = "linear_wide" if is_wide(at.params(at.output)) else f"linear{then}"
    return at.step(Call(function, "dense", fields, at.inputs[:1], at.output))


def _weights(at: At, channels: int) -> dict[str, Field]:
    """What convolutions and linear layers have in common; the weights with z_w = 0."""
    constants, params = at.program.graph.constants, at.params(at.inputs[1])
    q = constants[at.inputs[1]].to(torch.int32)
    centred = q - broadcast(params.zero_point, q.ndim, params.axis)
    fields: dict[str, Field] = {
        "in_zero": at.zero(0),
        "weight": Array("weight", "weight_t", tuple(centred.flatten().tolist())),
        "bias": Array("bias", "int32_t", tuple(constants[at.inputs[2]].tolist())),
    }
    if at.requantizations:
        by = _each(at.requantizations[0].multipliers[0], channels)
        fields["multiplier"] = Array("multiplier", "struct multiplier", by)
        fields |= _target(at)
    return fields


def _target(at: At) -> dict[str, Field]:
    """The grid of the result; of a function its staircase."""
    stairs = at.requantizations[0].stairs
    if stairs is None:
        return {"grid": at.codes().grid}
    params = at.params(at.output)
    low, high = real_bounds(at.op.low, at.op.high, params)
    places = tuple(stairs.thresholds.tolist())
    return {
        "stairs": len(places),
        "thresholds": Array("thresholds", "int32_t", places or (0,)),  # C has no empty arrays
        "codes": _stored("codes", stairs.codes.clamp(low, high), params),
    }


def _stored(name: str, entries: Tensor, params: QParams) -> Array:
    """Codes on a grid as they are stored."""
    stored = entries.to(torch.int32) + codes(params).offset
    return Array(name, "uint8_t", tuple(stored.tolist()))


def _each(by: Multiplier, channels: int) -> tuple[tuple[int, int], ...]:
    """The members of `struct multiplier` for each channel."""
    pairs = _pairs(by)
    return pairs * channels if len(pairs) == 1 else pairs


def _pairs(by: Multiplier) -> tuple[tuple[int, int], ...]:
    return tuple(zip(by.mantissa.flatten().tolist(), by.exponent.flatten().tolist(), strict=True))


def _one(by: Multiplier) -> tuple[int, int]:
    (pair,) = _pairs(by)
    return pair


def _matmul(at: At) -> Step:
    (*batch, rows, length), columns = at.shape(0), at.shape(1)[-1]
    fields: dict[str, Field] = {
        "batch": math.prod(batch),
        "rows": rows,
        "length": length,
        "columns": columns,
        "a_zero": at.zero(0),
        "b_zero": at.zero(1),
    }
    if is_wide(at.params(at.output)):
        return at.step(Call("matmul_wide", "matrices", fields, at.inputs, at.output))
    fields["multiplier"] = _one(at.requantizations[0].multipliers[0])
    fields["grid"] = at.codes().grid
    return at.step(Call("matmul", "matrices", fields, at.inputs, at.output))


# --- elementwise ---------------------------------------------------------------------------------


def _add(at: At) -> Step:
    (requantization,) = at.requantizations
    fields: dict[str, Field] = {
        "b_sign": -1 if at.op.alpha < 0 else 1,
        "a_multiplier": _one(requantization.multipliers[0]),
        "b_multiplier": _one(requantization.multipliers[1]),
        "grid": at.codes().grid,
    }
    return _of_two(at, "add", "addition", fields)


def _mul(at: At) -> Step:
    (requantization,) = at.requantizations
    fields: dict[str, Field] = {
        "multiplier": _one(requantization.multipliers[0]),
        "grid": at.codes().grid,
    }
    return _of_two(at, "mul", "multiplication", fields)


def _extreme(at: At) -> Step:
    asked = iter(at.requantizations)
    a, b = (
        ONE if at.params(name) == at.params(at.output) else _one(next(asked).multipliers[0])
        for name in at.inputs
    )
    fields: dict[str, Field] = {
        "a_multiplier": a,
        "b_multiplier": b,
        "grid": codes(at.params(at.output)).grid,
        "greatest": int(isinstance(at.op, Maximum)),
    }
    return _of_two(at, "extreme", "extremes", fields)


def _of_two(at: At, function: str, struct: str, fields: dict[str, Field]) -> Step:
    """An operation on two tensors whose shapes broadcast."""
    extents, (a, b) = broadcast_strides(at.shape(0), at.shape(1))
    fields |= {"extent": extents, "a_stride": a, "b_stride": b}
    fields |= {"a_zero": at.zero(0), "b_zero": at.zero(1)}
    whole = [name for i, name in enumerate(at.inputs) if at.shape(i) == at.out_shape]
    call = Call(function, struct, fields, at.inputs, at.output)
    return at.step(call, overwrites=tuple(whole))


def _lookup(at: At) -> Step:
    x, y = at.params(at.inputs[0]), at.params(at.output)
    unused = torch.zeros(x.type.low + codes(x).offset, dtype=y.type.storage)
    entries = torch.cat([unused, at.op.entries(x, y)])
    fields: dict[str, Field] = {
        "size": math.prod(at.out_shape),
        "table": _stored("table", entries, y),
    }
    call = Call("lookup", "entries", fields, at.inputs, at.output)
    return at.step(call, overwrites=at.inputs)


def _clamp(at: At) -> Step:
    params = at.program.graph.values[at.output].params
    if params is None:  # a ReLU on accumulators that have left as real numbers
        low, high, function = 0, INT32_HIGH, "clamp_wide"
    else:
        offset = codes(params).offset
        low, high = (bound + offset for bound in real_bounds(at.op.low, at.op.high, params))
        function = "clamp"
    fields: dict[str, Field] = {"size": math.prod(at.out_shape), "low": low, "high": high}
    return at.step(Call(function, "bounds", fields, at.inputs, at.output), overwrites=at.inputs)


def _requantize(at: At) -> Step | Alias:
    if at.params(at.inputs[0]) == at.params(at.output):
        return Alias(at.inputs[0])
    size = math.prod(at.out_shape)
    call = _moved(at, 0, rows=1, length=size, stride=size, requantization=at.requantizations[0])
    return at.step(call, overwrites=at.inputs)


# --- moving and comparing ------------------------------------------------------------------------


def _concat(at: At) -> Step:
    axis, out = at.op.axis, at.out_shape
    rows, inner = math.prod(out[:axis]), math.prod(out[axis + 1 :])
    asked = iter(at.requantizations)
    calls, offset = [], 0
    for operand, name in enumerate(at.inputs):
        length = at.shape(operand)[axis] * inner
        same = at.params(name) == at.params(at.output)
        calls.append(
            _moved(
                at,
                operand,
                rows=rows,
                length=length,
                stride=out[axis] * inner,
                requantization=None if same else next(asked),
                offset=offset,
            )
        )
        offset += length
    return at.step(*calls)


def _moved(
    at: At,
    operand: int,
    *,
    rows: int,
    length: int,
    stride: int,
    requantization: Requantization | None,
    offset: int = 0,
) -> Call:
    """One operand in its place, requantized unless it is on the grid of the result."""
    fields: dict[str, Field] = {"rows": rows, "length": length, "stride": stride}
    reads = (at.inputs[operand],)
    if requantization is None:
        return Call("copy_rows", "movement", fields, reads, at.output, offset)
    fields["in_zero"] = at.zero(operand)
    fields["multiplier"] = _one(requantization.multipliers[0])
    fields["grid"] = codes_of(requantization.grid, at.params(at.output)).grid
    return Call("requantize_rows", "movement", fields, reads, at.output, offset)


def _pad(at: At) -> Step | Alias:
    if at.op.mode != CONSTANT:
        return _moved_elements(at)
    amounts = put_in(at.op.amounts, at.sizes)
    inside, outside, before = merged_padding(at.shape(0), amounts)
    signature = at.program.signature(at.node)
    fields: dict[str, Field] = {
        "in": inside,
        "out": outside,
        "before": before,
        "zero": at.op.code(signature) + codes(signature.output).offset,
    }
    return at.step(Call("pad", "padding", fields, at.inputs[:1], at.output))


def _moved_elements(at: At) -> Step | Alias:
    tables = offsets(at.op, at.shape(0), at.sizes)
    if tables is None:
        return Alias(at.inputs[0])
    fields: dict[str, Field] = {
        "extent": tuple(len(table) for table in tables),
        "offset": Array("offset", "int32_t", tuple(torch.cat(tables).tolist())),
    }
    return at.step(Call("gather", "gathering", fields, at.inputs[:1], at.output))


def _alias(at: At) -> Alias:
    return Alias(at.inputs[0])


# --- pooling -------------------------------------------------------------------------------------


def _max_pool2d(at: At) -> Step:
    op = at.op
    kernel, stride, dilation = as_pair(op.kernel), as_pair(op.stride), as_pair(op.dilation)
    return _maxima(at, _planes(at), kernel, stride, as_pair(op.padding, 0), dilation)


def _maxima(
    at: At,
    planes: dict[str, Field],
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Step:
    fields: dict[str, Field] = {
        **planes,
        "kernel_height": kernel[0],
        "kernel_width": kernel[1],
        "stride_y": stride[0],
        "stride_x": stride[1],
        "padding_y": padding[0],
        "padding_x": padding[1],
        "dilation_y": dilation[0],
        "dilation_x": dilation[1],
        "low": codes(at.params(at.output)).low,
    }
    return at.step(Call("max_pool2d", "maxima", fields, at.inputs, at.output))


def _average(at: At) -> Step:
    size, out = as_image(at.shape(0))[2:], _out_size(at)
    rows, columns = windows(at.op, (size[0], size[1]), out)
    return _averages(at, _planes(at), rows, columns)


def _averages(at: At, planes: dict[str, Field], rows: Windows, columns: Windows) -> Step:
    by = at.requantizations[0].multipliers[0]
    pairs = _each(by, len(rows) * len(columns))
    distinct = tuple(dict.fromkeys(pairs))
    fields = planes | {
        "rows": Array("rows", "struct range", rows),
        "columns": Array("columns", "struct range", columns),
        "in_zero": at.zero(0),
        "multiplier": Array("multiplier", "struct multiplier", distinct),
        "grid": at.codes().grid,
    }
    if len(distinct) > 1:
        which = tuple(distinct.index(pair) for pair in pairs)
        fields["which"] = Array("which", "uint16_t", which)
    return at.step(Call("average_pool2d", "averages", fields, at.inputs, at.output))


def _planes(at: At) -> dict[str, Field]:
    images, channels, in_height, in_width = as_image(at.shape(0))
    out_height, out_width = _out_size(at)
    return {
        "planes": images * channels,
        "in_height": in_height,
        "in_width": in_width,
        "out_height": out_height,
        "out_width": out_width,
    }


def _out_size(at: At) -> Pair:
    """Height and width; a global average without `keep` has neither."""
    if len(at.out_shape) == 2:
        return 1, 1
    height, width = as_image(at.out_shape)[2:]
    return height, width


def _reduced(at: At) -> Step:
    """A mean or a sum over the last axes: one window for each row of them."""
    planes, length = _rows(at)
    return _averages(at, planes, ((0, 1),), ((0, length),))


def _greatest(at: At) -> Step:
    planes, length = _rows(at)
    return _maxima(at, planes, (1, length))


def _rows(at: At) -> tuple[dict[str, Field], int]:
    """What is reduced as planes of one row, and how long it is."""
    shape = at.shape(0)
    length = math.prod(shape[axis] for axis in at.op.axes)
    planes = math.prod(shape) // length
    sizes = {"in_height": 1, "in_width": length, "out_height": 1, "out_width": 1}
    return {"planes": planes, **sizes}, length


def _interpolate(at: At) -> Step:
    positions = at.op.positions(at.shape(0)[2:], at.sizes)
    taps = [
        tuple(zip(p.before.tolist(), p.after.tolist(), p.share.tolist(), strict=True))
        for p in positions
    ]
    rows = taps[0] if len(taps) == 2 else ((0, 0, 0),)
    fields: dict[str, Field] = {
        **_planes(at),
        "rows": Array("rows", "struct tap", rows),
        "columns": Array("columns", "struct tap", taps[-1]),
        "row_parts": positions[0].parts if len(taps) == 2 else 1,
        "column_parts": positions[-1].parts,
        "in_zero": at.zero(0),
        "multiplier": _one(at.requantizations[0].multipliers[0]),
        "grid": at.codes().grid,
    }
    return at.step(Call("interpolate2d", "interpolation", fields, at.inputs[:1], at.output))


FUNCTIONS: dict[type, Callable[[At], Step | Alias]] = {
    Conv1d: _conv2d,
    Conv2d: _conv2d,
    ConvTranspose1d: _conv_transpose2d,
    ConvTranspose2d: _conv_transpose2d,
    MatMul: _matmul,
    Linear: _linear,
    Add: _add,
    Mul: _mul,
    Maximum: _extreme,
    Minimum: _extreme,
    Table: _lookup,
    Clamp: _clamp,
    Requantize: _requantize,
    Concat: _concat,
    Pad: _pad,
    **dict.fromkeys(MOVEMENTS, _moved_elements),
    Nearest: _moved_elements,
    Interpolate: _interpolate,
    Mean: _reduced,
    Sum: _reduced,
    Amax: _greatest,
    Dequantize: _alias,
    MaxPool1d: _max_pool2d,
    MaxPool2d: _max_pool2d,
    AveragePool1d: _average,
    AveragePool2d: _average,
    AdaptiveAveragePool1d: _average,
    AdaptiveAveragePool2d: _average,
    GlobalAveragePool: _average,
}
