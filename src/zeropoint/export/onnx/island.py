"""One operator of torch as an ONNX model of its own, for what reads ONNX."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zeropoint.export.onnx.aten.rules import opaque_form
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.model import DTYPES, node_of
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.graph.value import Plain, Value
from zeropoint.ops.opaque import Opaque

OPSET = 17


def input_name(place: int) -> str:
    """What an operand is called in the model."""
    return f"x{place}"


def island_model(op: Opaque, operands: Sequence[Value]) -> bytes:
    """The call on its operands, which are the model's inputs in their order.

    Refusal if ONNX has no words for it; ImportError without the onnx package.
    """
    import onnx

    named = [replace(value, name=input_name(index)) for index, value in enumerate(operands)]
    sheet = Sheet(frozenset(value.name for value in named), OPSET)
    results = opaque_form(sheet, op, [_operand(value) for value in named])
    outputs = [sheet.emit("Identity", result) for result in results]
    graph = onnx.helper.make_graph(
        [node_of(line) for line in sheet.lines],
        "island",
        [_input(value) for value in named],
        [onnx.ValueInfoProto(name=output) for output in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in sheet.constants.items()],
    )
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    content: bytes = model.SerializeToString()
    return content


def _operand(value: Value) -> Operand:
    dtype = value.type.dtype if isinstance(value.type, Plain) else None
    return Operand(value.name, value.shape, dtype)


def _input(value: Value) -> Any:  # an onnx.ValueInfoProto: the library has no types
    import onnx

    is_tensor = isinstance(value.type, Plain)
    dtype = DTYPES[value.type.dtype] if isinstance(value.type, Plain) else np.int64
    shape = [n if isinstance(n, int) else None for n in value.shape] if is_tensor else [1]
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return onnx.helper.make_tensor_value_info(value.name, element, shape)
