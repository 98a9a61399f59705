"""The text form of a graph, in both directions.

    graph(%x: f32[N,3,32,32]) {
      %conv1.weight: f32[8,3,3,3] = constant
      %conv1.bias: f32[8] = constant
      %conv1: f32[N,8,32,32] = conv2d(%x, %conv1.weight, %conv1.bias) {padding=(1, 1)}  # conv1
      return %conv1
    }

An operator's fields stand in braces where they differ from their defaults; the layer is the
comment. Types are spelled as in `graph/value.py`. Contents of constants and scales of channels are
tensors, not text: `parse` takes them by name (`conv1.weight`, `conv1.weight:scale`,
`conv1.weight:zero_point`). Nor is it written how outputs are nested: several come back as a tuple.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.errors import GraphError
from zeropoint.graph.graph import Graph, Node, Origin
from zeropoint.graph.op import Op
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.value import (
    FLOAT_NAMES,
    UNKNOWN,
    Plain,
    Quantized,
    Shape,
    Size,
    Value,
    ValueType,
)

DTYPES = {name: dtype for dtype, name in FLOAT_NAMES.items()}

SCALE, ZERO_POINT = ":scale", ":zero_point"
"""What follows a value's name in the names of its grid; a dot could make it a parameter's name."""


def format_graph(graph: Graph) -> str:
    """The graph as text."""
    arguments = ", ".join(_typed(graph.values[name]) for name in graph.inputs)
    constants = [f"  {_typed(graph.values[name])} = constant" for name in graph.constants]
    nodes = [f"  {format_node(graph, node)}" for node in graph.nodes]
    returned = ", ".join(f"%{name}" for name in graph.outputs)
    return "\n".join([f"graph({arguments}) {{", *constants, *nodes, f"  return {returned}", "}"])


def format_node(graph: Graph, node: Node) -> str:
    """One node as a line of text."""
    results = ", ".join(_typed(graph.values[name]) for name in node.outputs)
    operands = ", ".join(f"%{name}" for name in node.inputs)
    options = options_of(node.op)
    braces = " {" + ", ".join(f"{key}={value!r}" for key, value in options.items()) + "}"
    layer = f"  # {node.origin.layer}" if node.origin.layer else ""
    return f"{results} = {node.op.name}({operands}){braces if options else ''}{layer}"


def options_of(op: Op) -> dict[str, object]:
    """The fields of the operator that differ from their defaults."""
    options = {}
    for option in fields(op):  # type: ignore[arg-type]  # every operator is a dataclass
        value = getattr(op, option.name)
        if option.default is MISSING or option.default != value:
            options[option.name] = value
    return options


def format_type(type: ValueType, shape: Shape) -> str:
    """A type and a shape as text, such as u8[N,64,56,56]<0.0236:0>."""
    if isinstance(type, Size):
        return "size"
    extent = "[" + ",".join(_format_extent(size) for size in shape) + "]"
    if isinstance(type, Plain):
        return FLOAT_NAMES[type.dtype] + extent
    params = type.params
    if params.axis is not None:
        return f"{params.type}{extent}<axis={params.axis}>"
    return f"{params.type}{extent}<{params.scale.item():.9g}:{params.zero_point.item()}>"


def _format_extent(size: int | str) -> str:
    return str(size) if isinstance(size, int) or size.isidentifier() else UNKNOWN


def _typed(value: Value) -> str:
    return f"%{value.name}: {format_type(value.type, value.shape)}"


def parse_graph(
    text: str, ops: Mapping[str, type[Op]], tensors: Mapping[str, Tensor] | None = None
) -> Graph:
    """The graph that prints as `text`; `tensors` by name, zeros where a constant is not among them.

    GraphError with the line that does not parse.
    """
    return _Parser(ops, tensors or {}).parse(text)


class _Parser:
    def __init__(self, ops: Mapping[str, type[Op]], tensors: Mapping[str, Tensor]) -> None:
        self._ops = ops
        self._tensors = tensors
        self._values: dict[str, Value] = {}
        self._constants: dict[str, Tensor] = {}

    def parse(self, text: str) -> Graph:
        whole = [line.strip() for line in text.splitlines() if line.strip()]
        opening = re.fullmatch(r"graph\((.*)\) \{", whole[0]) if whole else None
        if opening is None or whole[-1] != "}" or not whole[-2].startswith("return"):
            raise GraphError("expected 'graph(...) {' first, 'return ...' and '}' at the end")
        inputs = tuple(self._declare(item).name for item in _split_types(opening[1]))
        lines, returned = whole[1:-2], whole[-2]
        nodes = [node for line in lines if (node := self._line(line)) is not None]
        outputs = tuple(re.findall(r"%([^\s,]+)", returned.removeprefix("return")))
        structure = Leaf() if len(outputs) == 1 else Nest((Leaf(),) * len(outputs))
        graph = Graph(inputs, outputs, tuple(nodes), self._values, self._constants, structure)
        graph.verify()
        return graph

    def _line(self, line: str) -> Node | None:
        results, equals, applied = line.partition(" = ")
        if not equals:
            raise GraphError(f"expected '%name: type = ...', found {line!r}")
        values = [self._declare(item) for item in _split_types(results)]
        if applied.strip() == "constant":
            self._constants[values[0].name] = self._content(values[0])
            return None
        match = re.fullmatch(r"(\w+)\((.*?)\)(?: \{(.*)\})?(?:  # (.*))?", applied)
        if match is None or match[1] not in self._ops:
            raise GraphError(f"no operator is written like {applied!r}")
        name, operands, options, layer = match.groups()
        try:
            op = self._ops[name](**_options(options or ""))
        except (TypeError, ValueError, SyntaxError) as error:
            raise GraphError(f"{name} has no options like {{{options}}}: {error}") from error
        inputs = tuple(re.findall(r"%([^\s,]+)", operands))
        return Node(op, inputs, tuple(value.name for value in values), Origin(layer or ""))

    def _declare(self, text: str) -> Value:
        name, colon, spelled = text.strip().removeprefix("%").partition(": ")
        if not colon:
            raise GraphError(f"expected '%name: type', found {text!r}")
        value = Value(name, *self._type(name, spelled))
        self._values[name] = value
        return value

    def _type(self, name: str, text: str) -> tuple[ValueType, Shape]:
        if text == "size":
            return Size(), (UNKNOWN,)
        match = re.fullmatch(r"(\w+)\[([^\]]*)\](?:<(.*)>)?", text)
        if match is None:
            raise GraphError(f"%{name} has no type that is written like {text!r}")
        shape = tuple(int(n) if n.isdigit() else n for n in match[2].split(",") if n)
        try:
            if match[3] is None:
                return Plain(DTYPES[match[1]]), shape
            return Quantized(self._grid(name, IntegerType.parse(match[1]), match[3])), shape
        except (KeyError, ValueError) as error:
            raise GraphError(f"%{name} has no type that is written like {text!r}") from error

    def _grid(self, name: str, type: IntegerType, text: str) -> QParams:
        if text.startswith("axis="):
            scale = self._tensors[f"{name}{SCALE}"]
            zeros = torch.zeros_like(scale, dtype=torch.int32)
            zero = self._tensors.get(f"{name}{ZERO_POINT}", zeros)
            return QParams(scale, zero, type, int(text.removeprefix("axis=")))
        scale_text, _, zero_text = text.partition(":")
        return per_tensor(float(scale_text), int(zero_text), type)

    def _content(self, value: Value) -> Tensor:
        if value.name in self._tensors:
            return self._tensors[value.name]
        dtype = value.type.dtype if isinstance(value.type, Plain) else torch.float32
        dtype = value.params.type.storage if value.params else dtype
        return torch.zeros([int(size) for size in value.shape], dtype=dtype)


def _split_types(text: str) -> list[str]:
    return [item for item in re.split(r", (?=%)", text) if item]


def _options(text: str) -> dict[str, object]:
    call = _NotFinite().visit(ast.parse(f"dict({text})", mode="eval").body)
    if not isinstance(call, ast.Call):
        raise SyntaxError("expected key=value, key=value")
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}


class _NotFinite(ast.NodeTransformer):
    """Reads inf and nan as Python prints them."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node
