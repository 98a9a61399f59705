from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.nets import lowered
from zeropoint.arithmetic.integer import INT8, INT32, UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.errors import ProgramError
from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Node
from zeropoint.graph.op import Op
from zeropoint.graph.text import format_graph
from zeropoint.graph.value import Plain, Quantized, Value, ValueType
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pool import MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.table import Table
from zeropoint.program.program import Program

SHAPE = ("N", 2, 2, 2)
SILU = Opaque("aten.silu.default", (("%", 0),), (), "no integer form")
GRID = Quantized(per_tensor(0.5, 3, UINT8))
POOLED = MaxPool2d((1, 1), (1, 1))


def program() -> Program:
    """quantize, conv, dequantize, an island."""
    to, x = float_graph(SHAPE)
    weight = torch.tensor([1.0, -1.0, 0.5, 0.25]).reshape(2, 2, 1, 1)
    w, b = to.constant("w", weight), to.constant("b", torch.ones(2))
    y = to.emit(Conv2d(), x, w, b, shape=SHAPE, name="conv")
    return lowered(to.done([to.emit(SILU, y, shape=SHAPE, name="silu")]), torch.ones(1, 2, 2, 2))


def with_node(op: Op, inputs: tuple[str, ...], type: ValueType) -> Program:
    """The program with one more node, "more", its output; integers leave as real numbers."""
    ordinary = program()
    graph = ordinary.graph
    more = Value("more", type, SHAPE), Value("more.real", Plain(), SHAPE)
    values = {**graph.values, **{value.name: value for value in more}}
    nodes = [*graph.nodes, Node(op, inputs, ("more",))]
    if isinstance(type, Quantized):
        nodes.append(Node(Dequantize(), ("more",), ("more.real",)))
    outputs = nodes[-1].outputs
    return replace(
        ordinary, graph=replace(graph, nodes=tuple(nodes), values=values, outputs=outputs)
    )


def with_value(name: str, params: QParams) -> Program:
    """The program with another grid for a value."""
    ordinary = program()
    values = dict(ordinary.graph.values)
    values[name] = replace(values[name], type=Quantized(params))
    return replace(ordinary, graph=replace(ordinary.graph, values=values))


def params_of(name: str) -> QParams:
    params = program().graph.values[name].params
    assert params is not None
    return params


def test_on_another_device_all_of_it_is_there() -> None:
    """Weights, biases and grids; what was is left where it is."""
    ordinary, device = program(), torch.device("meta")
    graph = ordinary.to(device).graph
    grids = [value.params for value in graph.values.values() if value.params is not None]
    tensors = [*graph.constants.values(), *(t for g in grids for t in (g.scale, g.zero_point))]
    assert len(tensors) > 4
    assert {tensor.device for tensor in tensors} == {device}
    assert str(ordinary.to(torch.device("cpu"))) == str(ordinary)


def test_an_honest_program_passes() -> None:
    program().verify()
    with_node(POOLED, ("x.quantized",), Quantized(params_of("x.quantized"))).verify()
    with_node(Dequantize(), ("x.quantized",), Plain()).verify()
    with_node(Quantize(), ("x",), GRID).verify()


def test_a_program_prints_as_its_graph() -> None:
    assert str(program()) == format_graph(program().graph)


def test_a_program_knows_its_integer_nodes_and_their_grids() -> None:
    ordinary = program()
    integer = [node.output for node in ordinary.graph.nodes if ordinary.is_integer(node)]
    assert integer == ["x.quantized", "conv"]
    signature = ordinary.signature(ordinary.graph.producers["conv"])
    assert signature.inputs == tuple(params_of(name) for name in ("x.quantized", "w", "b"))
    assert signature.output == params_of("conv")


# --- real numbers where they must not be -------------------------------------------------------


def test_a_float_node_outside_the_islands_is_refused() -> None:
    with pytest.raises(ProgramError, match=r"silu runs in float and is not named as an island"):
        replace(program(), islands={}).verify()
    with pytest.raises(ProgramError, match=r"more runs in float and is not named as an island"):
        with_node(Clamp(0.0), ("x",), Plain()).verify()


def test_the_activation_of_a_layer_that_leaves_the_integers_is_no_island() -> None:
    with_node(Clamp(0.0), ("conv.real",), Plain()).verify()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: with_node(SILU, ("x.quantized",), Plain()), "runs in float but reads integers"),
        (lambda: with_node(SILU, ("x",), GRID), "opaque has no integer form"),
        (
            lambda: with_node(MaxPool2d((1, 1), (1, 1)), ("x",), GRID),
            "more reads the real numbers of 'x'",
        ),
        (
            lambda: with_node(Conv2d(), ("x.quantized", "w", "conv.real"), GRID),
            "more reads the real numbers of 'conv.real'",
        ),
        (lambda: with_node(Dequantize(), ("x",), Plain()), "dequantizes the real numbers of 'x'"),
        (lambda: with_node(Quantize(), ("conv",), GRID), "quantizes what is quantized already"),
        (lambda: with_node(Conv2d(), ("conv", "w"), GRID), "conv2d does not take 2 operands"),
        (lambda: with_node(Clamp(), ("conv", "conv"), GRID), "clamp does not take 2 operands"),
        (lambda: with_node(Clamp(), (), GRID), "clamp does not take 0 operands"),
    ],
)
def test_integers_and_real_numbers_do_not_mix(make: Callable[[], Program], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        make().verify()


# --- functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [Table((("exec", "x"),)), Conv2d(function=(("exec", "x"),))])
def test_a_function_that_is_none_is_refused(op: Op) -> None:
    inputs = ("x.quantized", "w", "b")[: 1 if isinstance(op, Table) else 3]
    with pytest.raises(ProgramError, match=r"more: \(\('exec', 'x'\),\) is no function"):
        with_node(op, inputs, GRID).verify()


def test_a_table_without_a_number_in_it_is_refused_by_its_value() -> None:
    op = Table((("abs", "x"), ("sub", -1.0, "x1"), ("log", "x2")))
    with pytest.raises(ProgramError, match=r"more: .* is not a number at any code"):
        with_node(op, ("x.quantized",), GRID).verify()


def test_a_table_of_accumulators_is_refused() -> None:
    with pytest.raises(ProgramError, match="more: its operand 'conv' is no activation"):
        with_node(Table((("abs", "x"),)), ("conv",), GRID).verify()
    with_node(Table((("abs", "x"),)), ("x.quantized",), GRID).verify()


def test_a_function_of_an_accumulator_that_leaves_is_no_island() -> None:
    with_node(Table((("sigmoid", "x"),)), ("conv.real",), Plain()).verify()


# --- biases and accumulators -------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"type": INT8}, {"scale": torch.ones(2)}])
def test_a_bias_at_another_scale_or_type_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProgramError, match=r"the bias is not int32 at the|'b' holds torch.int32"):
        with_value("b", replace(params_of("b"), **change)).verify()
    assert params_of("b").type == INT32


def test_the_bound_of_an_accumulator_is_reached_by_the_worst_input() -> None:
    ordinary = program()
    node = ordinary.graph.producers["conv"]
    x, q = params_of("x.quantized"), ordinary.graph.constants["w"].to(torch.int64).flatten(1)
    ends = torch.tensor([x.low, x.high]) - x.zero_point
    bias = ordinary.graph.constants["b"].to(torch.int64)
    greatest = torch.where(q > 0, q * ends[1], q * ends[0]).sum(1)
    least = torch.where(q > 0, q * ends[0], q * ends[1]).sum(1)
    found = ordinary.accumulator_range(node)
    assert found.high.tolist() == (greatest + bias.clamp(min=0)).tolist()
    assert found.low.tolist() == (least + bias.clamp(max=0)).tolist()


def test_an_accumulator_that_could_overflow_is_refused_with_its_channel() -> None:
    ordinary = program()
    constants = dict(ordinary.graph.constants)
    constants["b"] = torch.tensor([0, 2**31 - 1], dtype=torch.int32)
    risky = replace(ordinary, graph=replace(ordinary.graph, constants=constants))
    with pytest.raises(ProgramError, match=r"conv: the accumulator of channel 1 can reach 2147\d+"):
        risky.verify()


# --- strangers ---------------------------------------------------------------------------------


def test_a_malformed_graph_is_refused() -> None:
    ordinary = program()
    graph = replace(ordinary.graph, nodes=ordinary.graph.nodes[1:])
    with pytest.raises(ProgramError, match=r"graph is malformed: conv2d reads 'x.quantized'"):
        replace(ordinary, graph=graph).verify()


@pytest.mark.parametrize(
    "target",
    [
        "aten.relu_.default",
        "aten.copy_.default",
        "aten.add.out",
        "aten.from_file.default",
        "aten.nothing.default",
        "aten.relu",
        "profiler._record_function_enter_new.default",
        "profiler._record_function_exit._RecordFunction",
        "aten._cufft_clear_plan_cache.default",
        "prim.device.default",
        "os.system",
        "__class__",
        "",
    ],
)
def test_an_island_that_does_more_than_compute_is_refused(target: str) -> None:
    ordinary = with_node(Opaque(target, (("%", 0),)), ("x",), Plain())
    with pytest.raises(ProgramError, match=r"more: "):
        replace(ordinary, islands={**ordinary.islands, "more": "trust me"}).verify()
