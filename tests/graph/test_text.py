import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.errors import GraphError
from zeropoint.graph import text
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Graph, Origin
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.text import format_graph, format_type, parse_graph
from zeropoint.graph.value import FLOAT_NAMES, Plain, Quantized, Shape, Size, Value, ValueType
from zeropoint.ops import OPS
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.quantize import Quantize
from zeropoint.ops.shape import SizeOf
from zeropoint.ops.table import Table


def convolution() -> Graph:
    to, x = float_graph(("N", 3, 32, 32))
    weight = to.constant("conv1.weight", torch.ones(8, 3, 3, 3))
    bias = to.constant("conv1.bias", torch.ones(8))
    to.origin = Origin("conv1", (), "net.py:7  self.conv1(x)")
    op = Conv2d(padding=(1, 1))
    y = to.emit(op, x, weight, bias, shape=("N", 8, 32, 32), name="conv1")
    return to.done([y])


def assert_round_trip(graph: Graph) -> Graph:
    """The text reads back to a graph that prints, and is, the same."""
    printed = format_graph(graph)
    parsed = parse_graph(printed, OPS, tensors_of(graph))
    assert format_graph(parsed) == printed
    assert [(n.op, n.inputs, n.outputs) for n in parsed.nodes] == [
        (n.op, n.inputs, n.outputs) for n in graph.nodes
    ]
    assert {name: value.type for name, value in parsed.values.items()} == {
        name: value.type for name, value in graph.values.items()
    }
    assert parsed.constants.keys() == graph.constants.keys()
    for name, tensor in graph.constants.items():
        assert torch.equal(parsed.constants[name], tensor)
    return parsed


def tensors_of(graph: Graph) -> dict[str, Tensor]:
    tensors = dict(graph.constants)
    for name, value in graph.values.items():
        if value.params is not None and value.params.axis is not None:
            tensors[f"{name}:scale"] = value.params.scale
            tensors[f"{name}:zero_point"] = value.params.zero_point
    return tensors


# --- printing ----------------------------------------------------------------------------------


def test_a_graph_prints_as_the_module_says() -> None:
    assert text.__doc__ is not None
    drawing = text.__doc__.split("\n\n")[1]
    expected = "\n".join(line.removeprefix("    ") for line in drawing.splitlines())
    assert format_graph(convolution()) == expected


def test_types_print_with_all_that_matters() -> None:
    grid = per_tensor(0.1, 7, UINT8)
    channels = QParams(torch.ones(8), torch.zeros(8, dtype=torch.int32), INT8, axis=0)
    assert format_type(Plain(), ("N", 3)) == "f32[N,3]"
    assert format_type(Plain(torch.int64), ()) == "int64[]"
    assert format_type(Quantized(grid), ("N", 3)) == "u8[N,3]<0.100000001:7>"
    assert format_type(Quantized(channels), (8, 3)) == "i8[8,3]<axis=0>"
    assert format_type(Size(), ("N",)) == "size"


def test_a_computed_extent_prints_as_a_question_mark() -> None:
    assert format_type(Plain(), ("N", 3, "H", "(W + 1) // 2")) == "f32[N,3,H,?]"


def test_nine_digits_keep_a_float32_scale() -> None:
    scale = torch.tensor(1 / 3).item()
    to, x = float_graph(("N",))
    q = to.emit(Quantize(), x, shape=x.shape, type=Quantized(per_tensor(scale, 0, UINT8)))
    parsed = parse_graph(format_graph(to.done([q])), OPS)
    params = parsed.values[q.name].params
    assert params is not None
    assert params.scale.item() == scale


# --- reading back ------------------------------------------------------------------------------


def test_a_graph_is_read_back_with_its_layers() -> None:
    parsed = assert_round_trip(convolution())
    assert parsed.nodes[0].origin.layer == "conv1"


def test_constants_without_content_become_zeros_of_their_type() -> None:
    to, x = float_graph((2,))
    y = to.emit(Clamp(), x, to.constant("i", torch.ones(3, dtype=torch.int64)), shape=x.shape)
    parsed = parse_graph(format_graph(to.done([y])), OPS)
    assert parsed.constants["i"].dtype == torch.int64
    assert parsed.constants["i"].tolist() == [0, 0, 0]


def test_several_outputs_and_results_and_sizes_are_read_back() -> None:
    to, x = float_graph(("N", 4))
    size = to.emit(SizeOf(0), x, shape=("N",), type=Size(), name="size")
    op = Opaque("aten.split.Tensor", (("%", 0), 2, 1), (), "because {x} = 1, it says")
    halves = [(("N", 2), Plain()), (("N", 2), Plain())]
    first, second = to.emit_many(op, [x], halves, name="split")
    graph = to.done([second, first, size], Nest((Leaf(),) * 3))
    assert assert_round_trip(graph).outputs == ("split:2", "split", "size")


def test_infinite_options_are_read_back() -> None:
    to, x = float_graph((4,))
    y = to.emit(Clamp(float("-inf"), float("inf")), x, shape=x.shape, name="inf")
    assert_round_trip(to.done([y]))


def test_functions_are_read_back() -> None:
    to, x = float_graph((4,))
    steps = (("add", "x", 3.0), ("clamp", "x1", 0.0, None), ("mul", "x", "x2"), ("div", "x3", 6.0))
    y = to.emit(Table(steps), x, shape=x.shape, name="y")
    again = assert_round_trip(to.done([y]))
    assert again.nodes[0].op == Table(steps)


NAMES = st.from_regex(r"[a-z][a-z0-9_.']{0,6}(:[2-9])?", fullmatch=True)
EXTENTS = st.integers(0, 9) | st.sampled_from(["N", "H", "W", "s77"])
SHAPES = st.lists(EXTENTS, max_size=4).map(tuple)
DTYPES = st.sampled_from(sorted(FLOAT_NAMES, key=str)).map(Plain)
BOUNDS = st.none() | st.floats(allow_nan=False)
SCALES = st.floats(2.0**-60, 2.0**60, width=32)
INTEGERS = st.builds(IntegerType, st.integers(2, 8), st.booleans())
PAIRS = st.tuples(st.integers(0, 9), st.integers(0, 9))
TEXTS = st.text(max_size=9).filter(lambda text: text.isprintable())
ARGUMENTS = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False) | st.booleans() | TEXTS,
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)
OPERATORS = (
    st.builds(Clamp, BOUNDS, BOUNDS)
    | st.builds(Conv2d, PAIRS, PAIRS, PAIRS, st.integers(1, 4), BOUNDS, BOUNDS)
    | st.builds(Opaque, TEXTS, ARGUMENTS.map(lambda item: (item,)), st.just(()), TEXTS)
)


@st.composite
def types(draw: st.DrawFn, shape: Shape) -> ValueType:
    kind = draw(st.sampled_from(["plain", "tensor", "channel", "size"]))
    if kind == "plain":
        return draw(DTYPES)
    if kind == "size":
        return Size()
    integer = draw(INTEGERS)
    if kind == "tensor" or not shape:
        return Quantized(per_tensor(draw(SCALES), draw(st.integers(-128, 255)), integer))
    scales = torch.tensor(draw(st.lists(SCALES, min_size=1, max_size=4)))
    zeros = torch.zeros_like(scales, dtype=torch.int32)
    return Quantized(QParams(scales, zeros, integer, draw(st.integers(0, len(shape) - 1))))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any graph that can be built: what its operators would make of their operands is no matter."""
    to = Builder()
    values: list[Value] = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=2)):
        values.append(to.input(name, shape := draw(SHAPES), draw(types(shape))))
    for name in draw(st.lists(NAMES, max_size=2)):
        values.append(to.constant(name, torch.ones(draw(st.lists(st.integers(0, 9), max_size=4)))))
    for name in draw(st.lists(NAMES, max_size=4)):
        operands = draw(st.lists(st.sampled_from(values), max_size=3))
        to.origin = Origin(draw(NAMES))
        shapes = draw(st.lists(SHAPES, min_size=1, max_size=3))
        results = [(shape, draw(types(shape))) for shape in shapes]
        values += to.emit_many(draw(OPERATORS), operands, results, name=name)
    outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    return to.done(outputs, Leaf() if len(outputs) == 1 else Nest((Leaf(),) * len(outputs)))


@given(graphs())
def test_every_graph_is_read_back_as_it_was(graph: Graph) -> None:
    assert_round_trip(graph)


# --- what does not parse -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello", r"expected '%name: type = ...', found 'hello'"),
        ("%a = clamp(%x)", r"expected '%name: type', found '%a'"),
        ("%a: f32 = clamp(%x)", r"%a has no type that is written like 'f32'"),
        ("%a: f31[4] = clamp(%x)", r"%a has no type that is written like 'f31\[4\]'"),
        ("%a: u8[4]<1.0> = clamp(%x)", r"%a has no type that is written like 'u8\[4\]<1.0>'"),
        ("%a: u8[4]<axis=0> = clamp(%x)", r"%a has no type that is written like"),
        ("%a: v8[4]<1.0:0> = clamp(%x)", r"%a has no type that is written like"),
        ("%a: f32[4] = klamp(%x)", r"no operator is written like 'klamp\(%x\)'"),
        ("%a: f32[4] = clamp %x", r"no operator is written like 'clamp %x'"),
        ("%a: f32[4] = clamp(%x) {lo=1.0}", r"clamp has no options like \{lo=1.0\}"),
        ("%a: f32[4] = clamp(%x) {low=}", r"clamp has no options like \{low=\}"),
        ("%a: f32[4] = clamp(%x) {low=open('f')}", r"clamp has no options like"),
        ("%a: f32[4] = clamp(%x) {low=1) + (2}", r"clamp has no options like"),
        ("%a: f32[4] = clamp(%y)", r"clamp reads 'y' before anything writes it"),
    ],
)
def test_a_line_that_does_not_parse_is_named(line: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        parse_graph(f"graph(%x: f32[4]) {{\n  {line}\n  return %x\n}}", OPS)


@pytest.mark.parametrize(
    "printed", ["", "\n", "}", "graph(%x: f32[4]) {", "graph(%x: f32[4]) {\n}", "digraph {\n}\n}"]
)
def test_a_text_that_is_no_graph_is_refused(printed: str) -> None:
    with pytest.raises(GraphError, match=r"expected 'graph\(...\) \{' first"):
        parse_graph(printed, OPS)
