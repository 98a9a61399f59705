"""Nodes -> steps: which function computes a node, and the numbers that it is given.

Shapes come from the sample, multipliers from the operators themselves (`sample.py`), and grids from
the program.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from zeropoint.arithmetic.fixed_point import Multiplier
from zeropoint.arithmetic.qparams import QParams, broadcast
from zeropoint.export.c.codes import Codes, codes, codes_of, is_wide
from zeropoint.export.c.extents import broadcast_strides, merged_padding
from zeropoint.export.c.sample import Requantization, Sample, Shape
from zeropoint.export.c.step import Alias, Array, Call, Field, Step
from zeropoint.export.c.windows import windows
from zeropoint.graph.graph import Node
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AdaptiveAveragePool2d, AveragePool2d, GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.shape import Flatten, Reshape, SizeArithmetic, SizeOf
from zeropoint.program.program import Program

INT32_HIGH = 2**31 - 1


def steps_of(program: Program, sample: Sample) -> dict[str, Step | Alias]:
    """How each value comes to be, in order; inputs and sizes are left out."""
    steps: dict[str, Step | Alias] = {}
    for node in program.graph.nodes:
        if not isinstance(node.op, (Quantize, SizeOf, SizeArithmetic)):
            steps[node.output] = FUNCTIONS[type(node.op)](_Node(program, sample, node))
    return steps


@dataclass(frozen=True)
class _Node:
    """A node with all that is known of it."""

    program: Program
    sample: Sample
    node: Node

    @property
    def op(self) -> Any:  # the class that FUNCTIONS has found it by
        return self.node.op

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.node.inputs

    @property
    def output(self) -> str:
        return self.node.output

    @property
    def requantizations(self) -> tuple[Requantization, ...]:
        return self.sample.requantizations[self.output]

    def params(self, name: str) -> QParams:
        params = self.program.graph.values[name].params
        assert params is not None  # the refusals say so
        return params

    def zero(self, operand: int) -> int:
        """The code of the real number 0 in an operand."""
        return codes(self.params(self.inputs[operand])).zero

    def shape(self, operand: int) -> Shape:
        return self.sample.shapes[self.inputs[operand]]

    @property
    def out_shape(self) -> Shape:
        return self.sample.shapes[self.output]

    def codes(self, index: int = 0) -> Codes:
        """The codes of a requantization's result."""
        return codes_of(self.requantizations[index].grid, self.params(self.output))

    def step(self, *calls: Call, overwrites: tuple[str, ...] = ()) -> Step:
        layer = self.node.origin.layer or self.output
        return Step(layer, self.op.name, self.output, calls, overwrites)


# --- layers --------------------------------------------------------------------------------------


def _conv2d(at: _Node) -> Step:
    op = at.op
    images, in_channels, in_height, in_width = at.shape(0)
    _, out_channels, out_height, out_width = at.out_shape
    weight = at.program.graph.constants[at.inputs[1]]
    _, in_per_group, kernel_height, kernel_width = weight.shape
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
        "stride_y": op.stride[0],
        "stride_x": op.stride[1],
        "padding_y": op.padding[0],
        "padding_x": op.padding[1],
        "dilation_y": op.dilation[0],
        "dilation_x": op.dilation[1],
        **_weights(at, out_channels),
    }
    x = at.inputs[0]
    if is_wide(at.params(at.output)):
        return at.step(Call("conv2d_wide", "convolution", fields, (x,), at.output))
    if len(at.inputs) == 3:
        return at.step(Call("conv2d", "convolution", fields, (x,), at.output))
    addend = at.inputs[3]
    fields["addend_zero"] = at.zero(3)
    fields["addend_multiplier"] = _one(at.requantizations[0].multipliers[1])
    call = Call("conv2d_add", "convolution", fields, (x, addend), at.output)
    return at.step(call, overwrites=(addend,))


def _linear(at: _Node) -> Step:
    *rows, in_features = at.shape(0)
    out_features = at.out_shape[-1]
    fields: dict[str, Field] = {
        "rows": math.prod(rows),
        "in_features": in_features,
        "out_features": out_features,
        **_weights(at, out_features),
    }
    function = "linear_wide" if is_wide(at.params(at.output)) else "linear"
    return at.step(Call(function, "dense", fields, at.inputs[:1], at.output))


def _weights(at: _Node, channels: int) -> dict[str, Field]:
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
        fields["grid"] = at.codes().grid
    return fields


def _each(by: Multiplier, channels: int) -> tuple[tuple[int, int], ...]:
    """The members of `struct multiplier` for each channel."""
    pairs = _pairs(by)
    return pairs * channels if len(pairs) == 1 else pairs


def _pairs(by: Multiplier) -> tuple[tuple[int, int], ...]:
    return tuple(zip(by.mantissa.flatten().tolist(), by.exponent.flatten().tolist(), strict=True))


def _one(by: Multiplier) -> tuple[int, int]:
    (pair,) = _pairs(by)
    return pair


# --- elementwise ---------------------------------------------------------------------------------


def _add(at: _Node) -> Step:
    extents, (a, b) = broadcast_strides(at.shape(0), at.shape(1))
    (requantization,) = at.requantizations
    fields: dict[str, Field] = {
        "extent": extents,
        "a_stride": a,
        "b_stride": b,
        "a_zero": at.zero(0),
        "b_zero": at.zero(1),
        "a_multiplier": _one(requantization.multipliers[0]),
        "b_multiplier": _one(requantization.multipliers[1]),
        "grid": at.codes().grid,
    }
    whole = [name for i, name in enumerate(at.inputs) if at.shape(i) == at.out_shape]
    return at.step(Call("add", "addition", fields, at.inputs, at.output), overwrites=tuple(whole))


def _clamp(at: _Node) -> Step:
    params = at.program.graph.values[at.output].params
    if params is None:  # a ReLU on accumulators that have left as real numbers
        low, high, function = 0, INT32_HIGH, "clamp_wide"
    else:
        offset = codes(params).offset
        low, high = (bound + offset for bound in real_bounds(at.op.low, at.op.high, params))
        function = "clamp"
    fields: dict[str, Field] = {"size": math.prod(at.out_shape), "low": low, "high": high}
    return at.step(Call(function, "bounds", fields, at.inputs, at.output), overwrites=at.inputs)


def _requantize(at: _Node) -> Step | Alias:
    if at.params(at.inputs[0]) == at.params(at.output):
        return Alias(at.inputs[0])
    size = math.prod(at.out_shape)
    call = _moved(at, 0, rows=1, length=size, stride=size, requantization=at.requantizations[0])
    return at.step(call, overwrites=at.inputs)


# --- moving and comparing ------------------------------------------------------------------------


def _concat(at: _Node) -> Step:
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
    at: _Node,
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


def _pad(at: _Node) -> Step:
    inside, outside, before = merged_padding(at.shape(0), at.op.amounts)
    fields: dict[str, Field] = {
        "in": inside,
        "out": outside,
        "before": before,
        "zero": at.zero(0),
    }
    return at.step(Call("pad", "padding", fields, at.inputs, at.output))


def _alias(at: _Node) -> Alias:
    return Alias(at.inputs[0])


# --- pooling -------------------------------------------------------------------------------------


def _max_pool2d(at: _Node) -> Step:
    op = at.op
    fields: dict[str, Field] = {
        **_planes(at),
        "kernel_height": op.kernel[0],
        "kernel_width": op.kernel[1],
        "stride_y": op.stride[0],
        "stride_x": op.stride[1],
        "padding_y": op.padding[0],
        "padding_x": op.padding[1],
        "dilation_y": op.dilation[0],
        "dilation_x": op.dilation[1],
        "low": codes(at.params(at.output)).low,
    }
    return at.step(Call("max_pool2d", "maxima", fields, at.inputs, at.output))


def _average(at: _Node) -> Step:
    fields = _planes(at)
    height, width = at.shape(0)[2:]
    rows, columns = windows(at.op, (height, width), _out_size(at))
    by = at.requantizations[0].multipliers[0]
    pairs = _each(by, len(rows) * len(columns))
    distinct = tuple(dict.fromkeys(pairs))
    fields |= {
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


def _planes(at: _Node) -> dict[str, Field]:
    images, channels, in_height, in_width = at.shape(0)
    out_height, out_width = _out_size(at)
    return {
        "planes": images * channels,
        "in_height": in_height,
        "in_width": in_width,
        "out_height": out_height,
        "out_width": out_width,
    }


def _out_size(at: _Node) -> tuple[int, int]:
    """Height and width; a global average without `keep` has neither."""
    if len(at.out_shape) == 2:
        return 1, 1
    height, width = at.out_shape[2:]
    return height, width


FUNCTIONS: dict[type, Callable[[_Node], Step | Alias]] = {
    Conv2d: _conv2d,
    Linear: _linear,
    Add: _add,
    Clamp: _clamp,
    Requantize: _requantize,
    Concat: _concat,
    Pad: _pad,
    Flatten: _alias,
    Reshape: _alias,
    Dequantize: _alias,
    MaxPool2d: _max_pool2d,
    AveragePool2d: _average,
    AdaptiveAveragePool2d: _average,
    GlobalAveragePool: _average,
}
