"""TFLite's reference kernels on one operator: a flatbuffer written by hand, and its interpreter.

The resolver is BUILTIN_REF: the plain kernels, whose arithmetic is gemmlowp's. The default ones
hand over to XNNPACK, which requantizes in float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams

flatbuffers: Any = pytest.importorskip("flatbuffers")
schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
litert: Any = pytest.importorskip("ai_edge_litert.interpreter")

SCHEMA_VERSION = 3
IDENTIFIER = b"TFL3"


@dataclass(frozen=True)
class Operand:
    """A tensor: integers on a grid."""

    q: Tensor
    params: QParams
    constant: bool = False


@dataclass(frozen=True)
class Operator:
    """A builtin operator by the schema's names, and its options."""

    code: str
    options_type: str
    options: Any
    version: int


def run(
    operator: Operator, operands: Sequence[Operand], shape: Sequence[int], out: QParams
) -> Tensor:
    """The result of the operator, on the grid `out`."""
    interpreter = litert.Interpreter(
        model_content=_model(operator, operands, shape, out),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    computed = [operand for operand in operands if not operand.constant]
    for detail, operand in zip(interpreter.get_input_details(), computed, strict=True):
        interpreter.set_tensor(detail["index"], operand.q.numpy())
    interpreter.invoke()
    (detail,) = interpreter.get_output_details()
    return torch.from_numpy(interpreter.get_tensor(detail["index"]).copy())


def _model(
    operator: Operator, operands: Sequence[Operand], shape: Sequence[int], out: QParams
) -> bytes:
    buffers = [_buffer(None)]
    tensors = []
    for operand in operands:
        buffers.append(_buffer(operand.q if operand.constant else None))
        tensors.append(_tensor(operand.q.shape, operand.params, len(buffers) - 1))
    tensors.append(_tensor(shape, out, 0))

    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, operator.code)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = operator.version

    node = schema.OperatorT()
    node.opcodeIndex = 0
    node.inputs, node.outputs = list(range(len(operands))), [len(operands)]
    node.builtinOptionsType = getattr(schema.BuiltinOptions, operator.options_type)
    node.builtinOptions = operator.options

    graph = schema.SubGraphT()
    graph.tensors, graph.operators = tensors, [node]
    graph.inputs = [i for i, operand in enumerate(operands) if not operand.constant]
    graph.outputs = [len(operands)]

    model = schema.ModelT()
    model.version, model.operatorCodes = SCHEMA_VERSION, [code]
    model.subgraphs, model.buffers = [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _buffer(content: Tensor | None) -> Any:  # the schema's class
    buffer = schema.BufferT()
    if content is not None:
        buffer.data = np.frombuffer(content.contiguous().numpy().tobytes(), np.uint8)
    return buffer


def _tensor(shape: Sequence[int], params: QParams, buffer: int) -> Any:  # the schema's class
    tensor = schema.TensorT()
    tensor.shape, tensor.buffer, tensor.name = list(shape), buffer, f"tensor{buffer}".encode()
    tensor.type = getattr(schema.TensorType, f"INT{params.type.bits}")
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = params.scale.reshape(-1).tolist()
    tensor.quantization.zeroPoint = params.zero_point.reshape(-1).tolist()
    tensor.quantization.quantizedDimension = params.axis or 0
    return tensor
