"""Operators without weights on integers, in both forms alike.

What computes stands as float operator between DequantizeLinear and QuantizeLinear, and so does max
pooling, where runtimes look for it. What only moves or bounds integers is written on the integers.
"""

from dataclasses import replace

import torch

from zeropoint.export.onnx.floats import Operand, float_form, padded
from zeropoint.export.onnx.grids import INTEGERS, bounded, quantized, zero_point_of
from zeropoint.export.onnx.pooling import window_sums
from zeropoint.export.onnx.sizes import flattened, reshaped
from zeropoint.export.onnx.writing import Writing
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AdaptiveAveragePool2d, GlobalAveragePool
from zeropoint.ops.quantize import Requantize
from zeropoint.ops.shape import Flatten, Reshape


def write_integer(to: Writing, node: Node, op: IntegerOp) -> None:
    """The operator, on the integers or between the fences."""
    if to.is_real(node.output):
        operands = [to.operand(name) for name in node.inputs]
        to.put_real(node.output, float_form(to.sheet, op, operands))
    elif isinstance(op, (Clamp, Pad, Flatten, Reshape)):
        to.put(node.output, _moved(to, node, op))
    elif isinstance(op, Requantize):
        _requantized(to, node)
    elif isinstance(op, GlobalAveragePool) and not op.keep:
        _flat_average(to, node, op)
    elif isinstance(op, AdaptiveAveragePool2d):
        _adaptive_average(to, node, op)
    elif isinstance(op, Add):
        bounds = real_bounds(op.low, op.high, to.params(node.output))
        _fenced(to, node, replace(op, low=None, high=None), bounds)
    else:
        _fenced(to, node, op)


def _fenced(to: Writing, node: Node, op: IntegerOp, bounds: tuple[int, int] | None = None) -> None:
    operands = [to.operand(name) for name in node.inputs]
    to.narrow(node.output, float_form(to.sheet, op, operands), bounds)


def _requantized(to: Writing, node: Node) -> None:
    """One multiplier s_x / s_y, so that no result depends on how two of them round."""
    sheet, (name,) = to.sheet, node.inputs
    x, y = to.params(name), to.params(node.output)
    if x == y:
        to.put(node.output, to.integer(name))
        return
    ratio = sheet.number((x.scale.to(torch.float64) / y.scale).item())
    steps = sheet.emit("DequantizeLinear", to.integer(name), ratio, zero_point_of(sheet, x))
    q = sheet.emit("QuantizeLinear", steps, sheet.number(1.0), zero_point_of(sheet, y))
    to.put_bounded(node.output, q)


def _flat_average(to: Writing, node: Node, op: GlobalAveragePool) -> None:
    """QuantizeLinear right behind the pool, where runtimes look for it; then the flattening."""
    real = float_form(to.sheet, replace(op, keep=True), [to.operand(node.inputs[0])])
    q = to.sheet.emit("Flatten", quantized(to.sheet, real, to.params(node.output)), axis=1)
    to.put_bounded(node.output, q)


def _adaptive_average(to: Writing, node: Node, op: AdaptiveAveragePool2d) -> None:
    """Exact sums of q - z, and one multiplier s_x / (n s_y): ONNX has no such pool to fuse."""
    sheet, (name,) = to.sheet, node.inputs
    x, y = to.params(name), to.params(node.output)
    one = sheet.number(1.0)
    steps = sheet.emit("DequantizeLinear", to.integer(name), one, zero_point_of(sheet, x))
    sums, counts = window_sums(sheet, op, steps, to.shape(name))
    ratio = sheet.number((x.scale.to(torch.float64) / y.scale).item())
    multiplier = sheet.emit("Div", ratio, counts)
    total = sheet.emit("Mul", sums, multiplier)
    to.put_bounded(node.output, sheet.emit("QuantizeLinear", total, one, zero_point_of(sheet, y)))


def _moved(to: Writing, node: Node, op: Clamp | Pad | Flatten | Reshape) -> str:
    name, *sizes = node.inputs
    q, params = to.integer(name), to.params(name)
    if isinstance(op, Clamp):
        return bounded(to.sheet, q, params, real_bounds(op.low, op.high, params))
    if isinstance(op, Pad):
        zero_point = to.sheet.number(int(params.zero_point.item()), INTEGERS[params.type.storage])
        return padded(to.sheet, op, Operand(q, to.shape(name)), zero_point)
    if isinstance(op, Flatten):
        return flattened(to.sheet, op, q, to.shape(name))
    return reshaped(to.sheet, op, q, [to.stored(size) for size in sizes])
