"""Layers as float operators between DequantizeLinear and QuantizeLinear.

    q_x -> DequantizeLinear --.
    q_w -> DequantizeLinear ---> Conv -> QuantizeLinear -> q_y
    q_b -> DequantizeLinear --'

The float operators say what is computed; a runtime makes one integer kernel of them all.
"""

from zeropoint.export.onnx.addend import intermediate_grid
from zeropoint.export.onnx.floats import convolution
from zeropoint.export.onnx.functions import applied, is_writable, looked_up
from zeropoint.export.onnx.grids import dequantized, is_wide, quantized
from zeropoint.export.onnx.rows import as_rows, from_rows
from zeropoint.export.onnx.writing import Writing
from zeropoint.graph.graph import Node
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.conv import Conv
from zeropoint.ops.linear import Linear
from zeropoint.ops.table import Table, has_gaps


def write_conv(to: Writing, node: Node, op: Conv, exact: bool) -> None:
    """Conv, or Conv and Add."""
    x, weight, bias, *addend = (to.real(name) for name in node.inputs)
    y = convolution(to.sheet, op, "Conv", x, weight, bias)
    params = to.params(node.output)
    if is_wide(params):
        to.put_real(node.output, y)
        return
    bounds = real_bounds(op.low, op.high, params)
    if not exact and (addend or op.function):
        grid = intermediate_grid(to.program, node, bounds)
        y = dequantized(to.sheet, quantized(to.sheet, y, grid), grid)
    for other in addend:
        y = to.sheet.emit("Add", y, other)
    to.narrow(node.output, applied(to.sheet, op.function, y), bounds)


def write_table(to: Writing, node: Node, op: Table) -> None:
    """The function's own operators, or what is read off its table."""
    if is_writable(op.steps) and not has_gaps(op, to.params(node.inputs[0])):
        to.narrow(node.output, applied(to.sheet, op.steps, to.real(node.inputs[0])))
        return
    q = to.integer(node.inputs[0])
    to.put(node.output, looked_up(to.sheet, op, q, to.program.signature(node)))


def write_linear(to: Writing, node: Node, op: Linear) -> None:
    """Gemm, on rows."""
    x, weight, bias = node.inputs
    shape, (outputs, features) = to.shape(x), to.program.graph.constants[weight].shape
    rows = as_rows(to.sheet, to.integer(x), shape, features)
    real = to.real(x) if len(shape) == 2 else dequantized(to.sheet, rows, to.params(x))
    y = to.sheet.emit("Gemm", real, to.real(weight), to.real(bias), transB=1)
    params = to.params(node.output)
    if is_wide(params):
        to.put_real(node.output, from_rows(to.sheet, y, x, shape, outputs))
        return
    q = quantized(to.sheet, applied(to.sheet, op.function, y), params)
    bounds = real_bounds(op.low, op.high, params)
    to.put_bounded(node.output, from_rows(to.sheet, q, x, shape, outputs), bounds)
