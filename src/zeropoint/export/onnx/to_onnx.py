"""Program -> ONNX graph, node by node in the program's order, and from there to a model."""

from dataclasses import dataclass
from typing import Any

import torch

from zeropoint.errors import ExportError
from zeropoint.export.onnx import qdq, qoperator
from zeropoint.export.onnx.aten.rules import opaque_form
from zeropoint.export.onnx.floats import float_form
from zeropoint.export.onnx.integers import write_integer
from zeropoint.export.onnx.model import model_of
from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.export.onnx.sizes import size_arithmetic, size_of
from zeropoint.export.onnx.writing import Writing
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp
from zeropoint.ops.conv import Conv
from zeropoint.ops.conv_transpose import ConvTranspose
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.shape import SizeArithmetic, SizeOf
from zeropoint.ops.table import Table
from zeropoint.program.program import Program

OLDEST_OPSET = 13
"""The first with scales for each channel."""

USUAL_OPSET = 17
"""Old enough for every runtime in use; newer ones add nothing that a program needs."""

FORMS = {"qdq": qdq, "qoperator": qoperator}


@dataclass(frozen=True)
class Wanted:
    """What the caller chose: see `to_onnx`."""

    form: str = "qdq"
    opset: int = USUAL_OPSET
    exact: bool = True

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ExportError(f"ONNX has no form {self.form!r}; use one of {', '.join(FORMS)}")
        if not isinstance(self.opset, int) or self.opset < OLDEST_OPSET:
            raise ExportError(f"opset={self.opset}; ONNX export writes opset {OLDEST_OPSET} on")


def to_onnx(
    program: Program, *, form: str = "qdq", opset: int = USUAL_OPSET, exact: bool = True
) -> Any:  # an onnx.ModelProto: the library has no types
    """The program as an onnx.ModelProto, its values under their own names, any batch size.

    `form`: "qdq", float operators between DequantizeLinear and QuantizeLinear, which runtimes fuse
    to integer kernels; or "qoperator", layers as integer operators.

    `exact`: what becomes of a convolution with an addend, which a program rounds once (3'). By
    default the file says what the program says; ONNX Runtime has no such kernel, and runs those
    convolutions in float32 ("qdq") or slowly in integers ("qoperator"). With `exact=False` the
    convolution's own result is rounded to 8 bits first: integers everywhere, and one rounding more
    than the program has. A program quantized for engine="onnxruntime" has no such convolutions.

    ExportError names a layer that ONNX cannot carry, or the extra that is missing.
    """
    wanted = Wanted(form, opset, exact)
    try:
        sheet = write_sheet(program, wanted)
    except Refusal as refusal:
        raise ExportError(f"ONNX cannot carry {refusal}") from refusal
    return model_of(program, sheet)


def write_sheet(program: Program, wanted: Wanted) -> Sheet:
    """The program as a sheet; Refusal where ONNX has no words."""
    to = Writing(program, wanted.opset)
    _refuse_widths(program)
    for node in program.graph.nodes:
        with to.named(node.output):
            try:
                _write(to, node, wanted)
            except Refusal as refusal:
                layer = node.origin.layer or node.output
                raise Refusal(f"{layer}: {refusal}") from refusal
    for name in program.graph.outputs:
        _publish(to, name)
    return to.sheet


def _write(to: Writing, node: Node, wanted: Wanted) -> None:
    op, layers = node.op, FORMS[wanted.form]
    if isinstance(op, SizeOf):
        to.put(node.output, size_of(to.sheet, to.any(node.inputs[0]), op.axis))
    elif isinstance(op, SizeArithmetic):
        to.put(node.output, size_arithmetic(to.sheet, op, node.inputs))
    elif isinstance(op, Dequantize):
        to.release(node.inputs[0], node.output)
    elif isinstance(op, Quantize):
        to.narrow(node.output, to.real(node.inputs[0]))
    elif not to.program.is_integer(node):
        _write_float(to, node)
    elif isinstance(op, Conv):
        layers.write_conv(to, node, op, wanted.exact)
    elif isinstance(op, ConvTranspose):
        qoperator.write_conv_transpose(to, node, op)
    elif isinstance(op, Linear):
        layers.write_linear(to, node, op)
    elif isinstance(op, Table):
        layers.write_table(to, node, op)
    else:
        assert isinstance(op, IntegerOp)  # Program.verify says so
        write_integer(to, node, op)


def _write_float(to: Writing, node: Node) -> None:
    operands = [to.as_it_is(name) for name in node.inputs]
    if isinstance(node.op, Opaque):
        results = opaque_form(to.sheet, node.op, operands)
    else:
        results = (float_form(to.sheet, node.op, operands),)
    for name in node.outputs[len(results) :]:
        if to.program.graph.users[name] or name in to.program.graph.outputs:
            raise Refusal(f"{name}, the second result of its operator")
    for name, result in zip(node.outputs, results, strict=False):  # the rest is not read
        to.put(name, result)


def _publish(to: Writing, name: str) -> None:
    """A graph's output has to be written by a node."""
    if name in to.program.graph.inputs or name in to.program.graph.constants:
        raise Refusal(f"{name}, an input or a constant that is returned as it is")


def _refuse_widths(program: Program) -> None:
    for name, value in program.graph.values.items():
        if value.params is None:
            continue
        type = value.params.type
        if type.bits != 32 and type.storage not in (torch.uint8, torch.int8):
            raise Refusal(f"{name}: {type.bits}-bit integers")
