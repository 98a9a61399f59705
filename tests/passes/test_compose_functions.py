from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import assert_same_function
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph
from zeropoint.graph.text import format_graph
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.functions import Steps
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.table import Table
from zeropoint.passes.compose_functions import compose_functions

TOLERANCE = 1e-6


class Applied(nn.Module):
    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


def composed(function: Callable[..., object], x: Tensor | None = None) -> Graph:
    """The graph after the pass, which has to compute what it did."""
    x = 3 * torch.randn(2, 3, 4, 4) if x is None else x
    before = capture(Applied(function), (x,))
    after = compose_functions(before)
    assert_same_function(before, after, [x], TOLERANCE)
    return after


FUNCTIONS: list[tuple[Callable[[Tensor], Tensor], Steps]] = [
    (lambda x: x * torch.sigmoid(x), (("silu", "x"),)),
    (lambda x: torch.sigmoid(x) * x, (("silu", "x"),)),
    (lambda x: x * F.relu6(x + 3) / 6, (("hardswish", "x"),)),
    (lambda x: x * (F.relu6(x + 3) / 6), (("hardswish", "x"),)),
    (lambda x: x * F.hardtanh(x + 3, 0.0, 6.0) * (1 / 6), (("hardswish", "x"),)),
    (lambda x: F.relu6(x + 3).div(6), (("hardsigmoid", "x"),)),
    (lambda x: x * torch.tanh(F.softplus(x)), (("mish", "x"),)),
    (lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)), (("gelu", "x"),)),
    (lambda x: x * torch.sigmoid(1.702 * x), (("silu", "x", 1.702),)),
    (lambda x: torch.where(x > 0, x, 0.1 * x), (("leaky_relu", "x", 0.1),)),
    (lambda x: x.masked_fill(x < 0, 0.5), (("less", "x", 0.0), ("where", "x1", 0.5, "x"))),
    (lambda x: torch.max(x, 0.2 * x), (("leaky_relu", "x", 0.2),)),
    (lambda x: x / (1 + x.abs()), (("softsign", "x"),)),
    (lambda x: x * x, (("mul", "x", "x"),)),
    (lambda x: x.exp().add(1).sqrt(), (("exp", "x"), ("add", "x1", 1.0), ("sqrt", "x2"))),
    (lambda x: x - x.tanh(), (("tanh", "x"), ("sub", "x", "x1"))),
    (
        lambda x: torch.add(x, x.tanh(), alpha=0.5),
        (("tanh", "x"), ("mul", "x1", 0.5), ("add", "x", "x2")),
    ),
    (lambda x: F.silu(x).clamp(max=1.0), (("silu", "x"), ("clamp", "x1", None, 1.0))),
    (
        lambda x: torch.minimum(x.sin(), x.cos()),
        (("sin", "x"), ("cos", "x"), ("minimum", "x1", "x2")),
    ),
]


@pytest.mark.parametrize(("function", "steps"), FUNCTIONS)
def test_a_function_of_one_value_is_one_table(
    function: Callable[[Tensor], Tensor], steps: Steps
) -> None:
    graph = composed(function)
    assert [node.op.name for node in graph.nodes] == ["table"]
    (op,) = (node.op for node in graph.nodes)
    assert isinstance(op, Table)
    names = [step[0] for step in op.steps]
    assert sorted(map(str, names)) == sorted(str(step[0]) for step in steps)


def test_the_graph_as_text() -> None:
    x = torch.randn(2, 3, 4, 4)
    before = capture(Applied(lambda x: (x * torch.sigmoid(x)).exp()), (x,))
    assert format_graph(compose_functions(before)) == (
        "graph(%x: f32[N,3,H,W]) {\n"
        "  %exp: f32[N,3,H,W] = table(%x) "
        "{steps=(('sigmoid', 'x'), ('mul', 'x', 'x1'), ('exp', 'x2'))}\n"
        "  return %exp\n"
        "}"
    )


def test_what_is_a_relu_becomes_a_clamp() -> None:
    graph = composed(lambda x: (x + x.abs()) / 2)
    assert [node.op for node in graph.nodes] == [Clamp(0.0)]


def test_a_clamp_right_behind_the_value_stays_outside() -> None:
    graph = composed(lambda x: F.relu(x).sqrt().add(1))
    assert [node.op.name for node in graph.nodes] == ["clamp", "table"]


def test_a_clamp_that_something_else_reads_does_not_matter() -> None:
    graph = composed(lambda x: (F.relu(x) + F.relu(-x)).sqrt())
    assert [node.op.name for node in graph.nodes] == ["table"]


def test_a_value_that_something_else_reads_is_kept() -> None:
    def twice(x: Tensor) -> tuple[Tensor, Tensor]:
        y = x.tanh()
        return y, y.exp()

    graph = composed(twice)
    assert [node.op for node in graph.nodes] == [Table((("tanh", "x"),)), Table((("exp", "x"),))]


def test_functions_of_two_values_stay_apart() -> None:
    graph = composed(lambda x: x.mean((2, 3), keepdim=True).sigmoid() * x.tanh())
    assert [node.op.name for node in graph.nodes] == [
        "global_average_pool",
        "table",
        "table",
        "mul",
    ]


def test_the_largest_function_is_taken() -> None:
    def gate(x: Tensor) -> Tensor:
        y = x.mean((2, 3), keepdim=True)
        return x * (y * y.sigmoid()).exp()

    graph = composed(gate)
    assert [node.op.name for node in graph.nodes] == ["global_average_pool", "table", "mul"]


def test_what_is_infinite_or_no_real_number_stays_as_it_is() -> None:
    before = capture(
        Applied(lambda x: x.masked_fill(x < 0, float("-inf")).softmax(1)), (torch.randn(2, 3),)
    )
    after = compose_functions(before)
    assert format_graph(after) == format_graph(before)
    before = capture(Applied(lambda x: x.exp() > 0.5), (torch.randn(2, 3),))
    assert compose_functions(before) == before
    assert isinstance(before.nodes[-1].op, Opaque)


def test_an_operator_alone_stays_as_it_is() -> None:
    for function in (torch.sigmoid, F.relu, lambda x: x + x.mean((2, 3), keepdim=True)):
        before = capture(Applied(function), (torch.randn(2, 3, 4, 4),))
        assert compose_functions(before) == before
