"""A program in one .safetensors file, and back. Nothing in the file is executed.

    tensors    integer weights and biases, the scales of channels, the float constants of islands,
               the levels of equalized channels
    metadata   "zeropoint": JSON with format, graph, islands, provenance, and a digest of all of it

A damaged byte anywhere changes the digest, and the file is refused.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

import torch
from torch import Tensor

from zeropoint import sealed
from zeropoint.arithmetic.integer import INT32, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.container import Json
from zeropoint.fields import Field
from zeropoint.graph import structure
from zeropoint.graph.graph import Graph, Node, Origin
from zeropoint.graph.text import DTYPES, SCALE, ZERO_POINT, options_of
from zeropoint.graph.value import FLOAT_NAMES, Plain, Quantized, Size, Value, ValueType
from zeropoint.ops import OPS
from zeropoint.program.grids import MOST_RANK
from zeropoint.program.program import MOST_LEVELS, Program
from zeropoint.program.provenance import Provenance
from zeropoint.program.shapes import MOST_ELEMENTS, MOST_INPUT, check_sample
from zeropoint.sealed import Kind

LEVEL = ":level"

LARGEST = 1 << 62
TEXTS = ("zeropoint", "torch", "model", "recipe", "target")
"""The fields of a provenance that are text."""

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
    whole = Field(body)
    whole.only("graph", "islands", "provenance", "levels")
    graph = _graph_from_json(whole["graph"], tensors)
    islands = {name: reason.text() for name, reason in whole["islands"].entries().items()}
    runs = whole.get("levels")
    levels = {} if runs is None else _levels(runs.entries(), tensors)
    program = Program(graph, islands, _provenance(whole["provenance"]), levels)
    _check_names(program, tensors)
    check_sample(graph, program.provenance.input_shapes)
    program.verify()
    return program


def _levels(runs: Mapping[str, Field], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The level of each channel, of which a file has one for so many equal ones."""
    levels, total = {}, 0
    for name, field in runs.items():
        level, run = _named(tensors, f"{name}{LEVEL}"), field.integer(1, MOST_LEVELS)
        total += level.numel() * run
        if total > MOST_LEVELS or level.ndim != 1:
            raise ValueError(f"the levels of {name!r} are more than any network has channels")
        levels[name] = level.repeat_interleave(run)
    return levels


def _provenance(data: Field) -> Provenance:
    data.only(*(field.name for field in fields(Provenance)))
    texts: dict[str, Any] = {name: found.text() for name in TEXTS if (found := data.get(name))}
    samples, shapes = data.get("samples"), data.get("input_shapes")
    macs, narrow = (
        {k: v.integer(0, LARGEST) for k, v in found.entries().items()} if found else {}
        for found in (data.get("macs"), data.get("narrow"))
    )
    return Provenance(
        samples=samples.integer(0, LARGEST) if samples else 0,
        input_shapes=tuple(s.extents(MOST_INPUT) for s in shapes.items()) if shapes else (),
        macs=macs,
        narrow=narrow,
        **texts,
    )


def _check_names(program: Program, tensors: Mapping[str, Tensor]) -> None:
    """ValueError for a tensor that belongs to nothing."""
    known = {*program.graph.constants, *(f"{name}{LEVEL}" for name in program.levels)}
    for name in program.graph.values:
        known |= {f"{name}{SCALE}", f"{name}{ZERO_POINT}"}
    for name in tensors:
        if name not in known:
            raise ValueError(f"its tensor {name!r} belongs to nothing")


def _named(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in tensors:
        raise ValueError(f"it has no tensor {name!r}")
    return tensors[name]


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


def _graph_from_json(data: Field, tensors: Mapping[str, Tensor]) -> Graph:
    data.only("inputs", "outputs", "structure", "constants", "values", "nodes")
    values = {n: _value(n, item, tensors) for n, item in data["values"].entries().items()}
    constants = data["constants"].texts()
    if len(set(constants)) < len(constants):
        raise ValueError("a constant is listed twice")
    return Graph(
        inputs=data["inputs"].texts(),
        outputs=data["outputs"].texts(),
        nodes=tuple(map(_node, data["nodes"].items())),
        values=values,
        constants={name: _named(tensors, name) for name in constants},
        structure=structure.from_json(data["structure"].data),
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


def _node(data: Field) -> Node:
    data.only("op", "options", "inputs", "outputs", "layer", "line")
    kind = OPS[data["op"].one_of(OPS)]
    given = data["options"]
    given.only(*(field.name for field in fields(kind)))  # type: ignore[arg-type]  # every operator is a dataclass
    options = {key: _as_tuple(item.data) for key, item in given.entries().items()}
    for field in fields(kind):  # type: ignore[arg-type]  # the same
        if field.name not in options and field.default is MISSING:
            raise ValueError(f"{given.where} has no {field.name!r}")
    origin = Origin(data["layer"].text(), (), data["line"].text())
    outputs = data["outputs"].texts()
    if not outputs:
        raise ValueError(f"{data.where} has no outputs")
    return Node(kind(**options), data["inputs"].texts(), outputs, origin)


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


def _value(name: str, data: Field, tensors: Mapping[str, Tensor]) -> Value:
    data.only("shape", "type", "axis", "scale", "zero_point")
    return Value(name, _type(name, data, tensors), data["shape"].shape(MOST_ELEMENTS))


def _type(name: str, data: Field, tensors: Mapping[str, Tensor]) -> ValueType:
    spelled, axis = data["type"].text(), data.get("axis")
    if spelled == "size":
        return Size()
    if axis is not None:
        scale = _named(tensors, f"{name}{SCALE}")
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        zero_point = tensors.get(f"{name}{ZERO_POINT}", zeros)
        place = axis.integer(0, MOST_RANK - 1)
        return Quantized(QParams(scale, zero_point, IntegerType.parse(spelled), place))
    if data.get("scale") is not None:
        one, zero = data["scale"].number(), data["zero_point"].integer(INT32.low, INT32.high)
        return Quantized(per_tensor(one, zero, IntegerType.parse(spelled)))
    return Plain(DTYPES[data["type"].one_of(DTYPES)])
