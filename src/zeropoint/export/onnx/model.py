"""A sheet as an onnx.ModelProto."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from zeropoint.errors import ExportError
from zeropoint.export.onnx.sheet import Line, Sheet
from zeropoint.graph.value import UNKNOWN, Plain, Quantized, Value
from zeropoint.program.program import Program
from zeropoint.version import VERSION

MISSING = "the onnx package is not installed; pip install 'zeropoint[onnx]'"

DTYPES: dict[torch.dtype, type[np.generic]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.float16: np.float16,
    torch.uint8: np.uint8,
    torch.int8: np.int8,
    torch.int16: np.int16,
    torch.int32: np.int32,
    torch.int64: np.int64,
    torch.bool: np.bool_,
}


def model_of(program: Program, sheet: Sheet) -> Any:  # an onnx.ModelProto: it has no types
    """The model, checked by ONNX's own checker; ExportError without the onnx package."""
    try:
        import onnx
    except ImportError as error:
        raise ExportError(MISSING) from error
    newest = onnx.defs.onnx_opset_version()
    if sheet.opset > newest:
        raise ExportError(f"opset={sheet.opset}; onnx {onnx.__version__} knows {newest} at most")
    graph = onnx.helper.make_graph(
        [node_of(line) for line in sheet.lines],
        program.provenance.model or "zeropoint",
        [_info(program.graph.values[name]) for name in program.graph.inputs],
        [_info(program.graph.values[name]) for name in program.graph.outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in sheet.constants.items()],
        value_info=_described(program, sheet),
    )
    opsets = [onnx.helper.make_opsetid("", sheet.opset)]
    model = onnx.helper.make_model(
        graph,
        producer_name="zeropoint",
        producer_version=VERSION,
        opset_imports=opsets,
        ir_version=onnx.helper.find_min_ir_version_for(opsets),
    )
    onnx.helper.set_model_props(model, _properties(program))
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # its errors have no common class
        first = str(error).partition("\n")[0]
        raise ExportError(f"ONNX's checker refuses what the program becomes: {first}") from error
    return model


def node_of(line: Line) -> Any:  # an onnx.NodeProto
    """A line as ONNX has it."""
    import onnx

    return onnx.helper.make_node(
        line.operator, line.inputs, line.outputs, name=line.outputs[0], **dict(line.attributes)
    )


def _info(value: Value) -> Any:
    """Name, type and shape; sizes that only the run knows stay symbols."""
    import onnx

    type = value.type
    dtype = type.params.type.storage if isinstance(type, Quantized) else torch.float32
    if isinstance(type, Plain):
        dtype = type.dtype
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(DTYPES[dtype]))
    shape = [None if size == UNKNOWN else size for size in value.shape]
    return onnx.helper.make_tensor_value_info(value.name, element, shape)


def _described(program: Program, sheet: Sheet) -> list[Any]:
    """The integers between the nodes, for viewers to show."""
    written = {name for line in sheet.lines for name in line.outputs}
    values = program.graph.values.values()
    return [_info(v) for v in values if isinstance(v.type, Quantized) and v.name in written]


def _properties(program: Program) -> dict[str, str]:
    """The provenance as text; the costs of single nodes are left out."""
    return {
        f"zeropoint.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in asdict(program.provenance).items()
        if key != "macs"
    }
