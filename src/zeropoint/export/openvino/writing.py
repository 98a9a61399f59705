"""Program -> openvino.Model -> model.xml and model.bin."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from zeropoint.arithmetic.qparams import QParams
from zeropoint.atomic import write as write_file
from zeropoint.errors import ExportError
from zeropoint.export.format import Format
from zeropoint.export.openvino.forms import FORMS, bounded
from zeropoint.export.openvino.islands import island, island_refusal
from zeropoint.graph.graph import Node
from zeropoint.graph.value import Quantized, Value
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.program.program import Program

Output = Any  # an openvino.Output: the package is optional and its types are generated


def refusal(program: Program) -> str | None:
    """The first operator of an island that has no counterpart here, with its layer."""
    for node in program.graph.nodes:
        if isinstance(node.op, Opaque) and (why := island_refusal(node.op)):
            return f"{node.origin.layer or node.output}: {why}"
    return None


def write(program: Program, path: str | os.PathLike[str], **options: Any) -> None:
    """Write model.bin, then model.xml, each atomically."""
    import_openvino()
    from openvino import serialize

    target, model = Path(path), to_openvino(program)
    with tempfile.TemporaryDirectory() as folder:
        serialize(model, Path(folder) / "model.xml", Path(folder) / "model.bin")
        for suffix in (".bin", ".xml"):
            content = (Path(folder) / f"model{suffix}").read_bytes()
            write_file(target.with_suffix(suffix), _writer(content))


def _writer(content: bytes) -> Any:  # a closure: lambdas in a loop would share the last content
    return lambda temporary: Path(temporary).write_bytes(content)


def import_openvino() -> None:
    """ExportError that names the extra, where the package is missing."""
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise ExportError(
            "writing OpenVINO IR needs openvino, which is not installed: "
            "pip install 'zeropoint[openvino]'"
        ) from error


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
            shape = self._graph.values[name].shape
            sizes = [Dimension(n) if isinstance(n, int) else Dimension() for n in shape]
            parameter = ops.parameter(PartialShape(sizes), np.float32, name)
            self._named(parameter, name)
            self._written[name] = parameter
            parameters.append(parameter)
        for node in self._graph.nodes:
            self._node(node)
        results = [ops.result(self._read(name)) for name in self._graph.outputs]
        return Model(results, parameters, self._program.provenance.model or "zeropoint")

    def _node(self, node: Node) -> None:
        operands = [self._read(name) for name in node.inputs]
        values = [self._graph.values[name] for name in node.inputs]
        if isinstance(node.op, (Quantize, Dequantize)):
            result = operands[0]
        elif isinstance(node.op, Opaque):
            result = island(node.op, operands)
        else:
            result = FORMS[type(node.op)](node.op, operands, values)
        value = self._graph.values[node.output]
        if isinstance(value.type, Quantized) and _is_rounded(node, value):
            result = fake_quantize(result, value.type.params)
        if not isinstance(node.op, Dequantize):
            self._named(result, node.output)
        self._written[node.output] = result

    def _named(self, result: Output, name: str) -> None:
        result.set_friendly_name(name)
        result.output(0).get_tensor().set_names({name})

    def _read(self, name: str) -> Output:
        if name not in self._written:
            self._written[name] = constant(self._graph.values[name], self._graph.constants[name])
        return self._written[name]


def _is_rounded(node: Node, value: Value) -> bool:
    from zeropoint.graph.op import Grid, IntegerOp

    moves = isinstance(node.op, IntegerOp) and node.op.grid is Grid.SHARED
    return value.params is not None and value.params.type.bits != 32 and not moves


def fake_quantize(x: Output, params: QParams) -> Output:
    """Equation (1): to the grid and back, as one node."""
    from openvino import opset14 as ops

    low, high = (end.numpy().astype(np.float32).reshape(()) for end in params.real_range)
    levels = params.high - params.low + 1
    return ops.fake_quantize(x, low, high, low, high, levels)


def constant(value: Value, tensor: Any) -> Output:
    """A constant; integers as integers, converted and scaled by the graph, as NNCF writes them."""
    from openvino import opset14 as ops

    if value.params is None:
        return ops.constant(tensor.detach().numpy())
    params = value.params
    shape = [-1 if axis == params.axis else 1 for axis in range(tensor.ndim)]
    scale = params.scale.reshape(shape if params.scale.ndim else []).numpy()
    if params.type.bits == 32:  # a bias: the real number itself
        return ops.constant((tensor.double() * params.scale.double()).float().numpy())
    real = ops.convert(ops.constant(tensor.numpy()), np.float32)
    if bool(params.zero_point.any()):
        offset = params.zero_point.reshape(shape if params.scale.ndim else [])
        real = ops.subtract(real, ops.constant(offset.numpy().astype(np.float32)))
    return ops.multiply(real, ops.constant(scale))


FORMAT = Format("OpenVINO IR", ".xml", refusal, write)
