"""Convolutions, linear layers and products of matrices."""

import math
from collections.abc import Callable, Mapping

import torch

from zeropoint.arithmetic.qparams import broadcast
from zeropoint.export.c.at import At
from zeropoint.export.c.codes import is_wide
from zeropoint.export.c.fields import each, one, stored
from zeropoint.export.c.step import Alias, Array, Call, Field, Step
from zeropoint.export.c.windows import as_image, as_pair
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.conv import Conv1d, Conv2d
from zeropoint.ops.conv_transpose import ConvTranspose1d, ConvTranspose2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul


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
    fields["addend_multiplier"] = one(at.requantizations[0].multipliers[1])
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
        by = each(at.requantizations[0].multipliers[0], channels)
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
        "codes": stored("codes", stairs.codes.clamp(low, high), params),
    }


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
    fields["multiplier"] = one(at.requantizations[0].multipliers[0])
    fields["grid"] = at.codes().grid
    return at.step(Call("matmul", "matrices", fields, at.inputs, at.output))


LAYERS: Mapping[type, Callable[[At], Step | Alias]] = {
    Conv1d: _conv2d,
    Conv2d: _conv2d,
    ConvTranspose1d: _conv_transpose2d,
    ConvTranspose2d: _conv_transpose2d,
    Linear: _linear,
    MatMul: _matmul,
}
