"""Layers as operators on integers: QLinearConv, ConvInteger and MatMulInteger.

    QLinearConv      equation (3) in one node
    ConvInteger      equation (2); then  QuantizeLinear(M acc [+ M_a (q_a - z_a)]) with scale 1

The second way is the reference's float32 arithmetic, operation by operation: any runtime gives the
same integers. ONNX Runtime has a fast kernel for QLinearConv only, which knows no addend; its
ConvInteger is so slow that a float32 Conv of the same integers stands in, wherever no sum can leave
the 24 bits that float32 holds exactly.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.export.onnx.addend import intermediate_grid
from zeropoint.export.onnx.floats import convolution, turned
from zeropoint.export.onnx.functions import applied, looked_up
from zeropoint.export.onnx.grids import dequantized, is_wide, quantized, scale_of, zero_point_of
from zeropoint.export.onnx.rows import as_rows, from_rows
from zeropoint.export.onnx.sheet import Array, Sheet
from zeropoint.export.onnx.writing import Writing
from zeropoint.graph.graph import Node
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.conv import Conv, Convolution
from zeropoint.ops.conv_transpose import ConvTranspose
from zeropoint.ops.linear import Linear
from zeropoint.ops.table import Table

EXACT_IN_FLOAT32 = 2.0**24


def write_conv(to: Writing, node: Node, op: Conv, exact: bool) -> None:
    """QLinearConv; ConvInteger for an accumulator that leaves, or an exact sum with an addend."""
    params = to.params(node.output)
    follows = len(node.inputs) == 4 or bool(op.function)
    if is_wide(params) or (exact and follows):
        _accumulated_conv(to, node, op)
        return
    bounds = real_bounds(op.low, op.high, params)
    if not follows:
        to.put_bounded(node.output, _qlinear_conv(to, node, op, params), bounds)
        return
    grid = intermediate_grid(to.program, node, bounds)
    y = dequantized(to.sheet, _qlinear_conv(to, node, op, grid), grid)
    for name in node.inputs[3:]:
        y = to.sheet.emit("Add", y, to.real(name))
    to.narrow(node.output, applied(to.sheet, op.function, y), bounds)


def _qlinear_conv(to: Writing, node: Node, op: Conv, out: QParams) -> str:
    x, weight, bias = node.inputs[:3]
    sheet = to.sheet
    operands = []
    for name in (x, weight):
        grid = to.params(name)
        operands += [to.integer(name), scale_of(sheet, grid), zero_point_of(sheet, grid)]
    operands += [scale_of(sheet, out), zero_point_of(sheet, out), to.integer(bias)]
    return convolution(sheet, op, "QLinearConv", *operands)


def _accumulated_conv(to: Writing, node: Node, op: Conv) -> None:
    x, weight, bias = node.inputs[:3]
    sheet = to.sheet
    if float(to.program.accumulator_range(node).largest.max()) < EXACT_IN_FLOAT32:
        steps = [
            dequantized(sheet, to.integer(name), _steps(to.params(name))) for name in (x, weight)
        ]
        q_bias = sheet.constant(f"{bias}.float", _constant(to, bias).astype(np.float32))
        acc = convolution(sheet, op, "Conv", *steps, q_bias)
    else:
        operands = [to.integer(x), to.integer(weight), *_zero_points(to, x, weight)]
        products = convolution(sheet, op, "ConvInteger", *operands)
        numbers = _constant(to, bias).reshape(-1, *[1] * len(op.stride))  # (O, 1, ...)
        q_bias = sheet.constant(f"{bias}.column", numbers)
        acc = sheet.emit("Cast", sheet.emit("Add", products, q_bias), to=1)
    _finished(to, node, op, acc, channels=(-1, *[1] * len(op.stride)))


def write_conv_transpose(to: Writing, node: Node, op: ConvTranspose) -> None:
    """Exact sums of integers as real numbers: ONNX has no transposed convolution of integers."""
    x, weight, bias = node.inputs
    sheet = to.sheet
    steps, rows = (
        dequantized(sheet, to.integer(name), _steps(to.params(name))) for name in (x, weight)
    )
    columns = turned(sheet, op, rows, to.shape(weight))
    q_bias = sheet.constant(f"{bias}.float", _constant(to, bias).astype(np.float32))
    acc = convolution(sheet, op, "ConvTranspose", steps, columns, q_bias)
    _finished(to, node, op, acc, channels=(-1, *[1] * len(op.stride)))


def _steps(params: QParams) -> QParams:
    """The grid on which an integer stands for itself, less its zero point."""
    return replace(params, scale=torch.ones_like(params.scale))


def write_table(to: Writing, node: Node, op: Table) -> None:
    """The table, entry by entry."""
    q = to.integer(node.inputs[0])
    to.put(node.output, looked_up(to.sheet, op, q, to.program.signature(node)))


def write_linear(to: Writing, node: Node, op: Linear) -> None:
    """MatMulInteger, bias, QuantizeLinear: QLinearMatMul takes no bias."""
    x, weight, bias = node.inputs
    sheet, shape = to.sheet, to.shape(x)
    outputs, features = _constant(to, weight).shape
    columns = sheet.constant(f"{weight}.transposed", _constant(to, weight).T)  # (I, O)
    rows = as_rows(sheet, to.integer(x), shape, features)
    products = sheet.emit("MatMulInteger", rows, columns, *_zero_points(to, x, weight))
    real = sheet.emit("Cast", sheet.emit("Add", products, to.integer(bias)), to=1)
    _finished(to, node, op, from_rows(sheet, real, x, shape, outputs), channels=(-1,))


def _zero_points(to: Writing, x: str, weight: str) -> list[str]:
    """Of x, and of the weights where they have any: ONNX Runtime takes no list of them."""
    grids = [to.params(x)]
    if bool(to.params(weight).zero_point.any()):
        grids.append(to.params(weight))
    return [zero_point_of(to.sheet, grid) for grid in grids]


def _finished(
    to: Writing, node: Node, op: Convolution | Linear, acc: str, channels: tuple[int, ...]
) -> None:
    """Equation (3) or (5) on an accumulator, as `arithmetic.requantize.Float32` has it."""
    sheet, params = to.sheet, to.params(node.output)
    if is_wide(params):
        scale = sheet.constant(f"{node.output}.scale", _along(params.scale, channels))
        to.put_real(node.output, sheet.emit("Mul", acc, scale))
        return
    x, weight, *_ = to.program.signature(node).inputs
    step = torch.ones(()) if op.function else params.scale
    product = x.scale.to(torch.float64) * weight.scale.to(torch.float64) / step
    total = _product(sheet, acc, _along(product, channels))
    for name in node.inputs[3:]:
        addend = to.params(name)
        zero_point = sheet.number(int(addend.zero_point), np.int32)
        steps = sheet.emit("Sub", sheet.emit("Cast", to.integer(name), to=6), zero_point)
        multiplier = (addend.scale.to(torch.float64) / step).to(torch.float32).numpy()
        term = _product(sheet, sheet.emit("Cast", steps, to=1), multiplier)
        total = sheet.emit("Add", total, term)
    if op.function:
        q = quantized(sheet, applied(sheet, op.function, total), params)
    else:
        zero_point = zero_point_of(sheet, params)
        q = sheet.emit("QuantizeLinear", total, sheet.number(1.0), zero_point)
    to.put_bounded(node.output, q, real_bounds(op.low, op.high, params))


def _product(sheet: Sheet, acc: str, multiplier: Array) -> str:
    return sheet.emit("Mul", acc, sheet.constant(f"{sheet.hint}.multiplier", multiplier))


def _along(scale: Tensor, channels: tuple[int, ...]) -> Array:
    """A scale in float32, shaped to meet the channels of an accumulator."""
    numbers: Array = scale.to(torch.float32).numpy()
    return numbers.reshape(channels) if numbers.ndim else numbers


def _constant(to: Writing, name: str) -> Array:
    numbers: Array = to.program.graph.constants[name].numpy()
    return numbers
