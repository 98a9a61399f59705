"""Program -> openvino.Model -> model.xml and model.bin."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zeropoint.arithmetic.qparams import QParams
from zeropoint.atomic import bytes_saver, write_together
from zeropoint.errors import FileError
from zeropoint.export.format import Format
from zeropoint.export.openvino.forms import FORMS, SIZES
from zeropoint.export.openvino.functions import looked_up, needs_table, unwritable
from zeropoint.export.openvino.grids import constant, fake_quantize
from zeropoint.export.openvino.islands import island, island_refusal
from zeropoint.export.openvino.package import import_openvino
from zeropoint.export.openvino.rows import linear
from zeropoint.graph.graph import Node
from zeropoint.graph.op import Grid, IntegerOp
from zeropoint.graph.value import Plain, Value
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pad import Pad
from zeropoint.ops.shape import SizeArithmetic
from zeropoint.ops.table import Table
from zeropoint.program.program import Program

Output = Any  # an openvino.Output: the package is optional and its types are generated

DIGEST = ("zeropoint", "sha256_of_bin")
"""Where model.xml says which model.bin it was written with."""

UNKNOWN_DIGEST = "0" * 64

RUNTIME_OPTIONS = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
"""Otherwise a float MatMul with int8 weights would quantize its input on its own account."""


def refusal(program: Program) -> str | None:
    """The first input or operator that has no counterpart here, with its layer."""
    for name in program.graph.inputs:
        if program.graph.values[name].type == Plain(torch.int16):
            return f"input {name!r} of int16, which OpenVINO's CPU plugin does not take"
    for node in program.graph.nodes:
        why = _why_not(program, node)
        if why is not None:
            return f"{node.origin.layer or node.output}: {why}"
    return None


def _why_not(program: Program, node: Node) -> str | None:
    op = node.op
    if isinstance(op, Opaque):
        return island_refusal(op, [program.graph.values[name] for name in node.inputs])
    if isinstance(op, SizeArithmetic) and (op.function not in SIZES or _has_floats(op)):
        return f"a size that is computed by {op.function!r}, in floating point"
    if isinstance(op, Pad) and op.mode == "circular" and None in op.amounts:
        return "circular padding by amounts that only the run knows"
    function = op.function if isinstance(op, Convolution | Linear) else ()
    if isinstance(op, Table) and not program.is_integer(node):
        function = op.steps
    unknown = unwritable(function)
    return f"the function {unknown!r} of real numbers" if unknown else None


def write(program: Program, path: str | os.PathLike[str], **options: Any) -> None:
    """Write model.bin and model.xml together; the second says which the first was."""
    import_openvino()
    target, model = Path(path), to_openvino(program)
    weights, text = _serialized(model)
    files = ((".bin", weights), (".xml", text))
    write_together([(target.with_suffix(end), bytes_saver(content)) for end, content in files])


def _serialized(model: Any) -> tuple[bytes, bytes]:  # an openvino.Model
    """The content of model.bin and of model.xml."""
    from openvino import serialize

    model.set_rt_info(UNKNOWN_DIGEST, list(DIGEST))
    try:
        with tempfile.TemporaryDirectory() as folder:
            xml, bin = Path(folder) / "model.xml", Path(folder) / "model.bin"
            serialize(model, xml, bin)
            weights, text = bin.read_bytes(), xml.read_bytes()
    except (OSError, RuntimeError) as error:  # OpenVINO's say where in its own source they are
        raise FileError(
            f"OpenVINO IR cannot be made in {tempfile.gettempdir()}: {error}"
        ) from error
    digest = hashlib.sha256(weights).hexdigest()
    return weights, text.replace(UNKNOWN_DIGEST.encode(), digest.encode())


def _has_floats(op: SizeArithmetic) -> bool:
    return any(isinstance(number, float) for number in op.numbers)


def to_openvino(program: Program) -> Any:  # an openvino.Model
    """The program as an OpenVINO model with the same inputs, outputs and dynamic sizes."""
    return _Writing(program).model()


class _Writing:
    """Writes node by node. Every integer value is the real number that its code stands for."""

    def __init__(self, program: Program) -> None:
        self._graph = program.graph
        self._program = program
        self._written: dict[str, Output] = {}

    def model(self) -> Any:  # an openvino.Model
        from openvino import Dimension, Model, PartialShape
        from openvino import opset14 as ops

        parameters = []
        for name in self._graph.inputs:
            declared = self._graph.values[name]
            sizes = [Dimension(n) if isinstance(n, int) else Dimension() for n in declared.shape]
            parameters.append(ops.parameter(PartialShape(sizes), _element(declared)))
            self._put(name, parameters[-1])
        for node in self._graph.nodes:
            self._node(node)
        results = [ops.result(self._read(name)) for name in self._graph.outputs]
        model = Model(results, parameters, self._program.provenance.model or "zeropoint")
        narrow = sum(self._program.provenance.narrow.values())
        if narrow:
            model.set_rt_info(str(narrow), ["zeropoint", "seven_bit_channels"])
        for option, value in RUNTIME_OPTIONS.items():
            model.set_rt_info(value, ["runtime_options", option])
        return model

    def _node(self, node: Node) -> None:
        operands = [self._read(name) for name in node.inputs]
        values = [self._graph.values[name] for name in node.inputs]
        if isinstance(node.op, Opaque):
            results = island(node.op, operands, values)
        elif isinstance(node.op, Table) and needs_table(node.op, values[0]):
            (x,), (value,) = operands, values
            results = [looked_up(node.op, x, value, self._graph.values[node.output])]
        elif isinstance(node.op, Linear):
            results = [linear(node.op, operands, values, self._graph.values[node.output])]
        else:
            results = [FORMS[type(node.op)](node.op, operands, values)]
        for name, real in zip(node.outputs, results, strict=True):
            params = self._graph.values[name].params
            if params is None or not _is_rounded(node, params):
                self._put(name, real)
            else:
                self._put(name, fake_quantize(real, params))

    def _put(self, name: str, result: Output) -> None:
        """A result under its program's name; one that is another's as well has both."""
        output = result.output(0) if hasattr(result, "output") else result
        if not output.get_names():
            output.get_node().set_friendly_name(name)
        output.get_tensor().add_names({name})
        self._written[name] = output

    def _read(self, name: str) -> Output:
        if name not in self._written:
            written = constant(self._graph.values[name], self._graph.constants[name])
            self._put(name, written)
        return self._written[name]


def _element(value: Value) -> Any:  # a type or a dtype of numpy
    """What an input holds: integers stay integers, which float32 does not hold beyond 2^24."""
    if not isinstance(value.type, Plain):
        return np.float32
    return torch.empty(0, dtype=value.type.dtype).numpy().dtype


def _is_rounded(node: Node, params: QParams) -> bool:
    moves = isinstance(node.op, IntegerOp) and node.op.grid is Grid.SHARED
    again = not moves or isinstance(node.op, (Pad, Clamp))  # see forms.py
    again = again and not isinstance(node.op, Linear)  # see rows.py
    return again and params.type.bits != 32


FORMAT = Format("OpenVINO IR", ".xml", refusal, write)
