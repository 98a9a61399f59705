from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.cases import CASES
from tests.conformance.draft import Case
from tests.export.onnx.test_rules import CALLS
from zeropoint.errors import ProgramError
from zeropoint.execute.reference import Reference
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import Op
from zeropoint.graph.value import Plain, Shape, Size
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.conv_transpose import ConvTranspose2d
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.order import Take
from zeropoint.ops.pad import Pad
from zeropoint.ops.shape import Reshape, SizeArithmetic, SizeOf
from zeropoint.program.shapes import MOST_INPUT, check_sample, check_shapes, infer

IMAGE = ("N", 4, "H", "W")


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(CASES)).flatmap(lambda title: CASES[title]))
def test_shapes_are_those_of_the_reference(case: Case) -> None:
    seen: dict[str, Any] = {}
    Reference(case.program).trace(case.inputs, seen.__setitem__)
    found = infer(case.program.graph, [x.shape for x in case.inputs])
    assert {name: getattr(x, "shape", x) for name, x in found.items()} == {
        name: getattr(x, "shape", x) for name, x in seen.items()
    }


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.target)
def test_islands_have_shapes_and_types_without_contents(call: Any) -> None:
    case = call.case()
    (found,) = Reference(case.program).run(case.inputs)[:1]
    name = case.program.graph.outputs[0]
    inferred = infer(case.program.graph, [x.shape for x in case.inputs])[name]
    assert (inferred.shape, inferred.dtype) == (found.shape, found.dtype)


def one_node(op: Op, shape: Shape, *constants: torch.Tensor, of: Shape = IMAGE) -> Graph:
    to, x = float_graph(of)
    operands = [to.constant(f"c{i}", tensor) for i, tensor in enumerate(constants)]
    return to.done([to.emit(op, x, *operands, shape=shape, name="y")])


def layer(op: Op, shape: Shape, weight: tuple[int, ...], bias: tuple[int, ...]) -> Graph:
    return one_node(op, shape, torch.zeros(weight), torch.zeros(bias))


HALF = "((H - 1)//2) + 1"


@pytest.mark.parametrize(
    "graph",
    [
        layer(Conv2d((2, 1), (1, 1)), ("N", 6, HALF, "W"), (6, 4, 3, 3), (6,)),
        one_node(Pad((1, 1)), ("N", 4, "H", "W + 2")),
        one_node(Pad((1, 1)), ("N", 4, "H", "?")),
        one_node(Pad((1, 1)), ("N", 4, "H", "Max(W, W + 2)")),
        one_node(Pad((1, 1)), ("N", 4, "H", "something(W)")),  # nobody knows what that is
        one_node(Concat(1), ("N", 7, 5, 5), torch.zeros(1, 3, 5, 5), of=(1, 4, 5, 5)),
    ],
)
def test_a_graph_that_is_what_it_declares_passes(graph: Graph) -> None:
    if graph.values[graph.inputs[0]].shape[0] == "N":
        check_shapes(graph, [(1, 4, 9, 9)])
    check_shapes(graph, [])


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (one_node(Pad((1, 1)), ("N", 4, "H", "W")), r"y is declared as \(N, 4, H, W\), and is"),
        (one_node(Pad((1, 1)), ("N", 4, "H", 11)), "y is declared as"),  # of the first size only
        (one_node(Pad((1, 1)), ("N", 4, "H")), "y is declared as"),
        (one_node(Pad((1, 1)), (1, 4, "H", "?")), "y is declared as"),
        (one_node(Opaque("aten.argmax.default", (("%", 0), 1)), ("N", "H", "W")), "torch.int64"),
        (layer(Conv2d(), ("N", 6, "H", "W"), (6, 3, 1, 1), (6,)), "do not fit 4 channels"),
        (layer(Conv2d(groups=4), ("N", 6, "H", "W"), (6, 1, 1, 1), (6,)), "do not fit"),
        (layer(Conv2d(), ("N", 6, "H", "W"), (6, 4, 1, 1), (5,)), "not one number for each"),
        (layer(Conv2d(), ("N", 6, "H", "W"), (6, 4, 1), (6,)), "of other dimensions"),
        (layer(Conv2d(), ("N", 6, "H", "W"), (6, 4, 0, 1), (6,)), "without elements"),
        (
            layer(ConvTranspose2d(output_padding=(1, 1)), IMAGE, (4, 4, 1, 1), (4,)),
            "its output padding is not less",
        ),
        (one_node(Take(1, (0, 9)), ("N", 2, "H", "W")), "an index is beyond the extent 4"),
        (one_node(Reshape((0, 7)), ("N", 7)), "reshape does not take"),
        (one_node(Concat(1), ("N", 7, "H", "W"), torch.zeros(1, 3, 5, 5)), "concat does not take"),
        (one_node(Pad((2**20,) * 4), IMAGE), "out of all proportion"),
        (one_node(Opaque("aten.ones.default", (("list", 2**20, 2**20),)), (2**20, 2**20)), "out"),
        (one_node(Opaque("aten.split.Tensor", (("%", 0), 2, 1)), IMAGE), "has 2 results, not 1"),
        (one_node(Opaque("aten.sigmoid.default", (("%", 7),)), IMAGE), "does not take"),
    ],
)
def test_a_graph_that_is_not_what_it_declares_is_refused(graph: Graph, words: str) -> None:
    with pytest.raises(ProgramError, match=words):
        check_shapes(graph, [(1, 4, 9, 9)])


def with_size(op: SizeArithmetic) -> Graph:
    to, x = float_graph(IMAGE)
    count = [to.emit(SizeOf(2), x, shape=("H",), type=Size()) for n in op.numbers if n is None]
    size = to.emit(op, *count, shape=("?",), type=Size(), name="size")
    return to.done([to.emit(Reshape((0, -2, -1)), x, size, shape=("N", "?", "?"))])


def test_sizes_are_computed_and_bounded() -> None:
    check_shapes(with_size(SizeArithmetic("mul", (None, 2))), [(1, 4, 8, 8)])
    for op in (
        SizeArithmetic("pow", (None, 10**9)),
        SizeArithmetic("mul", (None, 2**52)),
        SizeArithmetic("floordiv", (None, 0)),
        SizeArithmetic("neg", (None, None)),
    ):
        with pytest.raises(ProgramError, match="size"):
            check_shapes(with_size(op), [(1, 4, 8, 8)])


def test_how_much_there_is_may_depend_on_the_contents() -> None:
    to = Builder()
    x, mask = to.input("x", ("N", 4)), to.input("mask", ("N",), Plain(torch.bool))
    op = Opaque("aten.index.Tensor", (("%", 0), ("list", ("%", 1))))
    y = to.emit(op, x, mask, shape=("u0", 4))
    z = to.emit(Opaque("aten.sigmoid.default", (("%", 0),)), y, shape=("u0", 4))
    check_shapes(to.done([z]), [])


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ([(1, 4, 9)], "other dimensions"),
        ([], None),
        ([(1, 4, 9, 9)], None),
        ([(1, 5, 9, 9)], "none of its inputs"),
        ([(1, 4, 0, 9)], "none of its inputs"),
        ([(1, 4, 9, 9)] * 2, "other dimensions"),
        ([(1, 4, MOST_INPUT, 1)], "more than"),
    ],
)
def test_a_sample_is_one_that_the_graph_could_be_given(sample: Any, words: str | None) -> None:
    graph = one_node(Pad((1, 1)), ("N", 4, "H", "W + 2"))
    if words is None:
        check_sample(graph, sample)
        return
    with pytest.raises(ProgramError, match=words):
        check_sample(graph, sample)
