"""A program in one .safetensors file, and back. Nothing in the file is executed.

    tensors    integer weights and biases, the scales of channels, the float constants of islands,
               the levels of equalized channels
    metadata   "zeropoint": JSON with format, graph, islands, provenance, and a digest of all of it

A damaged byte anywhere changes the digest, and the file is refused.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from zeropoint import sealed
from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.container import Json
from zeropoint.graph import structure
from zeropoint.graph.graph import Graph, Node, Origin
from zeropoint.graph.text import DTYPES, SCALE, ZERO_POINT, options_of
from zeropoint.graph.value import FLOAT_NAMES, Plain, Quantized, Size, Value, ValueType
from zeropoint.ops import OPS
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance
from zeropoint.sealed import Kind

LEVEL = ":level"

KIND = Kind(
    key="zeropoint",
    format=1,
    foreign="was not written by zeropoint; save a quantized model with q.save()",
    again="quantize again",
)


def save(program: Program, path: str | os.PathLike[str]) -> None:
    """Write the file, atomically; FileError, with nothing left behind, if it cannot be written."""
    sealed.write(KIND, path, _body(program), _tensors(program))


def load(path: str | os.PathLike[str]) -> Program:
    """The program in a file, verified; FileError if the file is missing, damaged or foreign."""
    return sealed.read(KIND, path, _program)


def dumps(program: Program) -> bytes:
    """The bytes of the file."""
    return sealed.dumps(KIND, _body(program), _tensors(program))


def loads(content: bytes) -> Program:
    """The program in such bytes, verified; FileError if they are damaged or foreign."""
    return sealed.loads(KIND, content, _program)


def digest(program: Program) -> str:
    """32 hexadecimal digits that another program, or another weight in it, would not have."""
    return sealed.digest_of({"format": KIND.format, **_body(program)}, _tensors(program))


def _body(program: Program) -> Json:
    return {
        "graph": _graph_to_json(program.graph),
        "islands": dict(program.islands),
        "provenance": asdict(program.provenance),
        "levels": {name: _run(level) for name, level in program.levels.items()},
    }


def _program(body: Json, tensors: Mapping[str, Tensor]) -> Program:
    graph = _graph_from_json(body["graph"], tensors)
    known = _tuples(body["provenance"])
    runs = body.get("levels", {}).items()
    levels = {name: tensors[f"{name}{LEVEL}"].repeat_interleave(run) for name, run in runs}
    program = Program(graph, body["islands"], Provenance(**known), levels)
    program.verify()
    return program


def _tensors(program: Program) -> dict[str, Tensor]:
    graph = program.graph
    tensors = {
        f"{name}{LEVEL}": level[:: _run(level)].contiguous()
        for name, level in program.levels.items()
    }
    tensors |= {name: tensor.detach().contiguous() for name, tensor in graph.constants.items()}
    for name, value in graph.values.items():
        params = value.params
        if params is not None and params.axis is not None:
            tensors[f"{name}{SCALE}"] = params.scale.contiguous()
            if bool(params.zero_point.any()):
                tensors[f"{name}{ZERO_POINT}"] = params.zero_point.contiguous()
    # Two constants may be, or be parts of, one tensor; a file holds each by its own name.
    seen: set[int] = set()
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        if memory in seen:
            tensors[name] = tensor.clone()
        seen.add(memory)
    return tensors


def _run(level: Tensor) -> int:
    """How many equal numbers stand together everywhere: of a flattened channel, its pixels."""
    changes = level.diff().nonzero().flatten() + 1
    return math.gcd(len(level), *changes.tolist())


def _graph_to_json(graph: Graph) -> Json:
    return {
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "structure": structure.to_json(graph.structure),
        "constants": list(graph.constants),
        "values": {name: _value_to_json(value) for name, value in graph.values.items()},
        "nodes": [_node_to_json(node) for node in graph.nodes],
    }


def _graph_from_json(data: Json, tensors: Mapping[str, Tensor]) -> Graph:
    values = {name: _value(name, item, tensors) for name, item in data["values"].items()}
    return Graph(
        inputs=tuple(data["inputs"]),
        outputs=tuple(data["outputs"]),
        nodes=tuple(_node(item) for item in data["nodes"]),
        values=values,
        constants={name: tensors[name] for name in data["constants"]},
        structure=structure.from_json(data["structure"]),
    )


def _node_to_json(node: Node) -> Json:
    return {
        "op": node.op.name,
        "options": options_of(node.op),
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        "layer": node.origin.layer,
        "line": node.origin.line,
    }


def _node(data: Json) -> Node:
    op = OPS[data["op"]](**_tuples(data["options"]))
    origin = Origin(data["layer"], (), data["line"])
    return Node(op, tuple(data["inputs"]), tuple(data["outputs"]), origin)


def _tuples(options: Mapping[str, Json]) -> dict[str, Any]:
    return {key: _as_tuple(item) for key, item in options.items()}


def _as_tuple(item: Json) -> Any:
    """JSON has lists where operators have tuples."""
    return tuple(_as_tuple(part) for part in item) if isinstance(item, list) else item


def _value_to_json(value: Value) -> Json:
    data: dict[str, Json] = {"shape": list(value.shape)}
    if isinstance(value.type, Size):
        return {**data, "type": "size"}
    if isinstance(value.type, Plain):
        return {**data, "type": FLOAT_NAMES[value.type.dtype]}
    params = value.type.params
    data["type"] = str(params.type)
    if params.axis is not None:
        return {**data, "axis": params.axis}
    scale, zero_point = params.scale.item(), params.zero_point.item()
    return {**data, "scale": scale, "zero_point": zero_point}


def _value(name: str, data: Json, tensors: Mapping[str, Tensor]) -> Value:
    return Value(name, _type(name, data, tensors), tuple(data["shape"]))


def _type(name: str, data: Json, tensors: Mapping[str, Tensor]) -> ValueType:
    spelled = data["type"]
    if spelled == "size":
        return Size()
    if "axis" in data:
        scale = tensors[f"{name}{SCALE}"]
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        zero_point = tensors.get(f"{name}{ZERO_POINT}", zeros)
        return Quantized(QParams(scale, zero_point, IntegerType.parse(spelled), data["axis"]))
    if "scale" in data:
        params = per_tensor(data["scale"], data["zero_point"], IntegerType.parse(spelled))
        return Quantized(params)
    return Plain(DTYPES[spelled])
