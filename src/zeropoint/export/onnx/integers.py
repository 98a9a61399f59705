"""Operators without weights on integers, in both forms alike.

What computes stands as float operator between DequantizeLinear and QuantizeLinear, and so does max
pooling, where runtimes look for it. What only moves or bounds integers is written on the integers.
"""

from dataclasses import replace

import torch

from zeropoint.arithmetic.qparams import QParams
from zeropoint.export.onnx.floats import float_form
from zeropoint.export.onnx.grids import INTEGERS, bounded, quantized, zero_point_of
from zeropoint.export.onnx.movement import moved, padded
from zeropoint.export.onnx.pooling import window_sums
from zeropoint.export.onnx.reductions import adaptive_max
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.export.onnx.writing import Writing
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.movement import Movement
from zeropoint.ops.mul import Mul
from zeropoint.ops.pad import Pad, PadWith
from zeropoint.ops.pool import AdaptiveAveragePool, AdaptiveMaxPool, GlobalAveragePool
from zeropoint.ops.quantize import Requantize


def write_integer(to: Writing, node: Node, op: IntegerOp) -> None:
    """The operator, on the integers or between the fences."""
    if to.is_real(node.output):
        operands = [to.operand(name) for name in node.inputs]
        to.put_real(node.output, float_form(to.sheet, op, operands))
    elif isinstance(op, Clamp | Pad | Movement | AdaptiveMaxPool):
        to.put(node.output, _on_integers(to, node, op))
    elif isinstance(op, PadWith):
        _padded_with(to, node, op)
    elif isinstance(op, Requantize):
        _requantized(to, node)
    elif isinstance(op, GlobalAveragePool) and not op.keep:
        _flat_average(to, node, op)
    elif isinstance(op, AdaptiveAveragePool):
        _adaptive_average(to, node, op)
    elif isinstance(op, Add | Mul):
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
    else:
        to.put_bounded(node.output, _onto(sheet, to.integer(name), x, y))


def _onto(sheet: Sheet, q: str, x: QParams, y: QParams) -> str:
    ratio = sheet.number((x.scale.to(torch.float64) / y.scale).item())
    steps = sheet.emit("DequantizeLinear", q, ratio, zero_point_of(sheet, x))
    return sheet.emit("QuantizeLinear", steps, sheet.number(1.0), zero_point_of(sheet, y))


def _padded_with(to: Writing, node: Node, op: PadWith) -> None:
    """Moved to the grid of the result, and padded there."""
    name, *sizes = node.inputs
    signature, x, y = to.program.signature(node), to.params(name), to.params(node.output)
    q = to.integer(name) if x == y else _onto(to.sheet, to.integer(name), x, y)
    inside = bounded(to.sheet, q, y, (y.low, y.high))
    code = to.sheet.number(op.code(signature), INTEGERS[y.type.storage])
    amounts = [to.stored(size) for size in sizes]
    to.put(node.output, padded(to.sheet, op, inside, to.shape(name), amounts, code))


def _flat_average(to: Writing, node: Node, op: GlobalAveragePool) -> None:
    """QuantizeLinear right behind the pool, where runtimes look for it; then the flattening."""
    real = float_form(to.sheet, replace(op, keep=True), [to.operand(node.inputs[0])])
    q = to.sheet.emit("Flatten", quantized(to.sheet, real, to.params(node.output)), axis=1)
    to.put_bounded(node.output, q)


def _adaptive_average(to: Writing, node: Node, op: AdaptiveAveragePool) -> None:
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


def _on_integers(to: Writing, node: Node, op: Clamp | Pad | Movement | AdaptiveMaxPool) -> str:
    name, *operands = node.inputs
    q, params, shape = to.integer(name), to.params(name), to.shape(name)
    sizes = [to.stored(size) for size in operands]
    if isinstance(op, Clamp):
        return bounded(to.sheet, q, params, real_bounds(op.low, op.high, params))
    if isinstance(op, Pad):
        code = op.code(to.program.signature(node))
        fill = to.sheet.number(code, INTEGERS[params.type.storage])
        return padded(to.sheet, op, q, shape, sizes, fill)
    if isinstance(op, AdaptiveMaxPool):
        return adaptive_max(to.sheet, op, q, shape)
    return moved(to.sheet, op, q, shape, sizes)
