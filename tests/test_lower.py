from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.nets import Islands, MobileNetLike, Residual, images, lowered, run, seeded
from zeropoint.capture import capture
from zeropoint.execute.reference import Reference
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Graph, Origin
from zeropoint.graph.rewrite import find
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.value import Size, Value
from zeropoint.lower import lower
from zeropoint.observe.min_max import MinMax
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.functions import Steps
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.shape import Reshape, SizeOf
from zeropoint.ops.table import Table
from zeropoint.passes import simplify
from zeropoint.plan import Plan
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance
from zeropoint.recipe import Recipe, TensorSpec

IMAGE = ("N", 1, 2, 2)
ONES = torch.ones(1, 1, 2, 2)
MIN_MAX = Recipe(activations=TensorSpec(calibrator=MinMax()))
SILU = Opaque("aten.silu.default", (("%", 0),), (), "no integer form")


def conv(to: Builder, x: Value, name: str, op: Conv2d | None = None, *addend: Value) -> Value:
    to.origin = Origin(name)
    w, b = to.constant(f"{name}.w", torch.ones(1, 1, 1, 1)), to.constant(f"{name}.b", torch.ones(1))
    return to.emit(op or Conv2d(), x, w, b, *addend, shape=IMAGE, name=name)


def residual() -> Graph:
    """conv, then conv + residual, then conv; every number is a power of two or a few of them."""
    to, x = float_graph(IMAGE)
    stem = conv(to, x, "stem", Conv2d(low=0.0))
    block = conv(to, stem, "block", Conv2d(low=0.0), stem)
    return to.done([conv(to, block, "head")])


def test_a_residual_network_prints_as_an_integer_program() -> None:
    """x is 0 .. 1, so stem 0 .. 2, block 0 .. 5; the weights are 1 = 127 / 127."""
    assert str(lowered(residual(), ONES, recipe=MIN_MAX)) == (
        "graph(%x: f32[N,1,2,2]) {\n"
        "  %stem.w: i8[1,1,1,1]<axis=0> = constant\n"
        "  %stem.b: i32[1]<axis=0> = constant\n"
        "  %block.w: i8[1,1,1,1]<axis=0> = constant\n"
        "  %block.b: i32[1]<axis=0> = constant\n"
        "  %head.w: i8[1,1,1,1]<axis=0> = constant\n"
        "  %head.b: i32[1]<axis=0> = constant\n"
        "  %x.quantized: u8[N,1,2,2]<0.00392156886:0> = quantize(%x)  # stem\n"
        "  %stem: u8[N,1,2,2]<0.00784313772:0>"
        " = conv2d(%x.quantized, %stem.w, %stem.b) {low=0.0}  # stem\n"
        "  %block: u8[N,1,2,2]<0.0196078438:0>"
        " = conv2d(%stem, %block.w, %block.b, %stem) {low=0.0}  # block\n"
        "  %head: i32[N,1,2,2]<axis=1> = conv2d(%block, %head.w, %head.b)  # head\n"
        "  %head.real: f32[N,1,2,2] = dequantize(%head)\n"
        "  return %head.real\n"
        "}"
    )


def test_constants_become_integers() -> None:
    constants = lowered(residual(), ONES, recipe=MIN_MAX).graph.constants
    assert {name: (tensor.dtype, tensor.item()) for name, tensor in constants.items()} == {
        "stem.w": (torch.int8, 127),
        "stem.b": (torch.int32, 127 * 255),
        "block.w": (torch.int8, 127),
        "block.b": (torch.int32, round(127 * 255 / 2)),
        "head.w": (torch.int8, 127),
        "head.b": (torch.int32, 127 * 51),
    }


def test_the_program_computes_what_the_graph_computes_to_a_step() -> None:
    graph = residual()
    x = torch.tensor([[[[0.0, 0.25], [0.5, 1.0]]]])
    (found,) = Reference(lowered(graph, ONES, recipe=MIN_MAX)).run([x])
    assert (found - run(graph, x)[0]).abs().max() <= 5 / 255


@pytest.mark.parametrize("kind", [Residual, MobileNetLike, Islands])
def test_each_value_is_quantized_and_dequantized_at_most_once(kind: type[torch.nn.Module]) -> None:
    program = lowered(simplify(capture(seeded(kind()), (images(),))), images())
    for op in (Quantize, Dequantize):
        reads = Counter(node.inputs[0] for node, _ in find(program.graph, op))
        assert set(reads.values()) == {1}


def test_a_value_that_many_read_is_quantized_once() -> None:
    to, x = float_graph(IMAGE)
    outputs = [conv(to, x, name) for name in ("a", "b", "c")]
    outputs.append(to.emit(Add(), outputs[0], x, shape=IMAGE, name="sum"))
    program = lowered(to.done(outputs, Nest((Leaf(),) * 4)), ONES)
    assert [node.output for node, _ in find(program.graph, Quantize)] == ["x.quantized"]


def test_an_integer_that_many_float_nodes_read_is_dequantized_once() -> None:
    to, x = float_graph(IMAGE)
    y = conv(to, x, "a")
    outputs = [to.emit(SILU, y, shape=IMAGE, name=name) for name in ("s", "t")]
    program = lowered(to.done([*outputs, y], Nest((Leaf(),) * 3)), ONES)
    assert [node.inputs for node, _ in find(program.graph, Dequantize)] == [("a",)]
    assert program.graph.outputs == ("s", "t", "a.real")


def test_an_island_is_fenced_and_named() -> None:
    to, x = float_graph(IMAGE)
    y = to.emit(SILU, conv(to, x, "a"), shape=IMAGE, name="silu")
    program = lowered(to.done([conv(to, y, "b")]), ONES)
    assert [node.output for node in program.graph.nodes] == [
        "x.quantized",
        "a",
        "a.real",
        "silu",
        "silu.quantized",
        "b",
        "b.real",
    ]
    assert program.islands == {"silu": "no integer form"}
    assert [(node.output, why) for node, why in program.float_nodes()] == [
        ("silu", "no integer form")
    ]
    assert program.has_islands()


def test_a_layer_that_the_recipe_keeps_float_keeps_its_weights() -> None:
    to, x = float_graph(IMAGE)
    graph = to.done([conv(to, conv(to, x, "a"), "b")])
    program = lowered(graph, ONES, recipe=Recipe(overrides={"b": None}))
    assert program.graph.constants["b.w"].dtype == torch.float32
    assert program.islands == {"b": "kept float by the recipe"}


def test_a_weight_that_a_float_layer_shares_is_there_in_both_forms() -> None:
    to, x = float_graph(IMAGE)
    a = conv(to, x, "a")
    b = to.emit(SILU, to.values["a.w"], shape=(1, 1, 1, 1), name="silu")
    program = lowered(to.done([a, b], Nest((Leaf(), Leaf()))), ONES)
    assert {str(t.dtype) for t in program.graph.constants.values()} == {
        "torch.int8",
        "torch.int32",
        "torch.float32",
    }


def test_an_activation_after_an_accumulator_is_taken_in_float() -> None:
    to, x = float_graph(IMAGE)
    program = lowered(to.done([conv(to, x, "a", Conv2d(low=0.0, high=6.0))]), ONES)
    assert [(node.output, node.op) for node in program.graph.nodes[1:]] == [
        ("a", Conv2d()),
        ("a.real", Dequantize()),
        ("a.clamped", Clamp(0.0, 6.0)),
    ]
    assert not program.islands


@pytest.mark.parametrize(("high", "bounds"), [(None, ()), (6.0, (("clamp", "x1", None, 6.0),))])
def test_a_function_of_an_accumulator_that_leaves_is_taken_in_float(
    high: float | None, bounds: Steps
) -> None:
    to, x = float_graph(IMAGE)
    op = Conv2d(high=high, function=(("exp", "x"),))
    program = lowered(to.done([conv(to, x, "a", op)]), ONES)
    assert [(node.output, node.op) for node in program.graph.nodes[1:]] == [
        ("a", Conv2d()),
        ("a.real", Dequantize()),
        ("a.clamped", Table((("exp", "x"), *bounds))),
    ]
    assert not program.islands


def test_a_constant_operand_is_quantized_when_the_program_is_made() -> None:
    to, x = float_graph(IMAGE)
    plane = to.constant("plane", torch.tensor([[[0.0, 0.2], [0.4, 1.0]]]))
    sum = to.emit(Add(), conv(to, x, "a"), plane, shape=IMAGE, name="sum")
    program = lowered(to.done([conv(to, sum, "b")]), ONES, recipe=MIN_MAX)
    assert program.graph.constants["plane"].tolist() == [[[0, 51], [102, 255]]]
    assert [node.output for node, _ in find(program.graph, Quantize)] == ["x.quantized"]


def test_a_size_is_read_off_the_integers() -> None:
    to, x = float_graph(IMAGE)
    y = conv(to, x, "a", Conv2d(low=0.0))
    size = to.emit(SizeOf(0), y, shape=("N",), type=Size(), name="size")
    flat = to.emit(Reshape((-2, 1, 4, 1)), y, size, shape=("N", 1, 4, 1), name="flat")
    w, b = to.constant("w", torch.ones(1, 1, 1, 1)), to.constant("b", torch.ones(1))
    last = to.emit(Conv2d(), flat, w, b, shape=("N", 1, 4, 1), name="last")
    program = lowered(to.done([last]), ONES)
    assert not program.islands
    assert len(find(program.graph, Dequantize)) == 1
    assert Reference(program).run([ONES])[0].shape == (1, 1, 4, 1)


def test_nesting_layers_and_lines_are_kept() -> None:
    to, x = float_graph(IMAGE)
    to_origin = Origin("layer", ("torch.nn.Conv2d",), "net.py:3  y = self.layer(x)")
    y = conv(to, x, "a")
    structure = Nest((Leaf(), Leaf()), ("y", "x"))
    graph = to.done([y, x], structure)
    graph = replace(graph, nodes=tuple(replace(n, origin=to_origin) for n in graph.nodes))
    program = lowered(graph, ONES)
    assert program.graph.structure == structure
    assert program.graph.producers["a"].origin == to_origin
    assert program.graph.outputs == ("a.real", "x")


def test_the_float_graph_is_left_as_it_was() -> None:
    graph = residual()
    weights: dict[str, Tensor] = {name: t.clone() for name, t in graph.constants.items()}
    lowered(graph, ONES)
    for name, tensor in graph.constants.items():
        assert torch.equal(tensor, weights[name])


def test_reasons_and_provenance_go_along() -> None:
    to, x = float_graph(IMAGE)
    graph = to.done([to.emit(SILU, x, shape=IMAGE, name="silu")])
    program = lower(graph, Plan({}, {"silu": "no integer form"}), Provenance(model="net"))
    assert isinstance(program, Program)
    assert (program.islands, program.provenance.model) == ({"silu": "no integer form"}, "net")


def test_a_plan_without_a_value_is_a_bug_that_shows() -> None:
    to, x = float_graph(IMAGE)
    graph = to.done([conv(to, x, "a")])
    with pytest.raises(KeyError):
        lower(graph, Plan({}, {}), Provenance())
