import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.nets import run
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import Arithmetic, FixedPoint, Float32
from zeropoint.capture import capture
from zeropoint.errors import ProgramError
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.value import Plain, Size
from zeropoint.ops.functions import FUNCTIONS, Step
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.table import CAPTURES, Table, has_gaps, number_of, tabulated

X = per_tensor(0.05, 128, UINT8)
Y = per_tensor(0.031, 40, UINT8)
SILU = Table((("silu", "x"),))
PROFILES: list[Arithmetic] = [Float32(), FixedPoint("single"), FixedPoint("double")]


# --- the integer form ----------------------------------------------------------------------------


@pytest.mark.parametrize("arithmetic", PROFILES, ids=repr)
@given(st.integers(0, 255))
def test_a_result_is_the_function_rounded_once_in_every_profile(
    arithmetic: Arithmetic, code: int
) -> None:
    x = (code - 128) * X.scale.item()
    exactly = x / (1 + math.exp(-x)) / Y.scale.item() + 40
    q = torch.tensor([[code]], dtype=torch.uint8)
    (found,) = SILU.run_integer((q,), Signature((X,), Y), arithmetic).flatten()
    assert abs(int(found) - min(max(exactly, 0), 255)) <= 0.5


def test_signed_codes_are_looked_up_too() -> None:
    signed = per_tensor(0.05, 0, INT8)
    q = torch.tensor([-127, -20, 0, 20, 127], dtype=torch.int8)
    found = Table((("abs", "x"),)).run_integer((q,), Signature((signed,), signed), Float32())
    assert found.tolist() == [127, 20, 0, 20, 127]


def test_fewer_bits_have_fewer_entries() -> None:
    narrow = per_tensor(0.5, 3, IntegerType(3, signed=False))
    assert SILU.entries(narrow, Y).shape == (8,)


def test_it_has_one_operand_and_a_grid_of_its_own() -> None:
    assert SILU.roles(1) == (Role.ACTIVATION,)
    assert Table.grid is Grid.OWN


def test_the_float_form_is_the_function() -> None:
    x = torch.randn(3, 4)
    assert torch.equal(SILU.run(x), F.silu(x))
    assert torch.equal(Table((("abs", "x"), ("sqrt", "x1"))).run(x), x.abs().sqrt())


# --- where a function is no number ---------------------------------------------------------------


def test_a_function_that_is_a_number_nowhere_is_refused_by_its_steps() -> None:
    op = Table((("abs", "x"), ("sub", -1.0, "x1"), ("log", "x2")))
    with pytest.raises(ProgramError, match=r"\('log', 'x2'\).* not a number at any code"):
        op.entries(X, Y)


def test_gaps_are_known() -> None:
    assert has_gaps(Table((("log", "x"),)), X)
    assert not has_gaps(SILU, X)


# --- capture -------------------------------------------------------------------------------------

SPELLINGS: list[tuple[Callable[[Tensor], Tensor] | nn.Module, Step]] = [
    (nn.Sigmoid(), ("sigmoid", "x")),
    (torch.sigmoid, ("sigmoid", "x")),
    (lambda x: x.sigmoid(), ("sigmoid", "x")),
    (lambda x: x.clone().sigmoid_(), ("sigmoid", "x")),
    (nn.Tanh(), ("tanh", "x")),
    (nn.SiLU(), ("silu", "x")),
    (nn.SiLU(inplace=True), ("silu", "x")),
    (F.silu, ("silu", "x")),
    (nn.Hardswish(inplace=True), ("hardswish", "x")),
    (nn.Hardsigmoid(), ("hardsigmoid", "x")),
    (nn.GELU(), ("gelu", "x")),
    (nn.GELU("tanh"), ("gelu_tanh", "x")),
    (lambda x: F.gelu(x, approximate="tanh"), ("gelu_tanh", "x")),
    (nn.ELU(0.7, inplace=True), ("elu", "x", 0.7)),
    (nn.ELU(), ("elu", "x", 1.0)),
    (nn.Softplus(), ("softplus", "x", 1.0, 20.0)),
    (nn.Softplus(2, 10), ("softplus", "x", 2.0, 10.0)),
    (nn.Mish(), ("mish", "x")),
    (nn.LeakyReLU(0.2), ("leaky_relu", "x", 0.2)),
    (nn.LeakyReLU(), ("leaky_relu", "x", 0.01)),
    (F.leaky_relu, ("leaky_relu", "x", 0.01)),
    (nn.LogSigmoid(), ("log_sigmoid", "x")),
    (nn.RReLU(), ("leaky_relu", "x", (1 / 8 + 1 / 3) / 2)),
    (nn.Hardshrink(0.3), ("hardshrink", "x", 0.3)),
    (nn.Softshrink(), ("softshrink", "x", 0.5)),
    (nn.Threshold(0.1, 20.0), ("threshold", "x", 0.1, 20.0)),
    (lambda x: -x, ("neg", "x")),
    (abs, ("abs", "x")),
    (lambda x: x.square(), ("square", "x")),
    (lambda x: x**2, ("square", "x")),
    (lambda x: x.pow(3), ("pow", "x", 3.0)),
    (lambda x: x ** torch.tensor(1.5), ("pow", "x", 1.5)),
    (lambda x: 2**x, ("pow", 2.0, "x")),
    (lambda x: x.exp(), ("exp", "x")),
    (lambda x: x.sin(), ("sin", "x")),
    (torch.erf, ("erf", "x")),
    (lambda x: x + 3, ("add", "x", 3.0)),
    (lambda x: 3 + x, ("add", "x", 3.0)),
    (lambda x: x - 3, ("add", "x", -3.0)),
    (lambda x: 3 - x, ("sub", 3.0, "x")),
    (lambda x: x.clone().sub_(1), ("add", "x", -1.0)),
    (lambda x: x * 3, ("mul", "x", 3.0)),
    (lambda x: x * torch.tensor([[[3.0]]]), ("mul", "x", 3.0)),
    (lambda x: x / 6, ("div", "x", 6.0)),
    (lambda x: torch.tensor(2.0) / x, ("div", 2.0, "x")),
]


class Applied(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def spelled(item: object) -> str:
    """What a worker and another one call the same: no address."""
    return getattr(item, "__name__", str(item))[:40]


@pytest.mark.parametrize(("function", "step"), SPELLINGS, ids=spelled)
def test_every_spelling_of_a_function_is_a_table(
    function: Callable[[Tensor], Tensor], step: Step
) -> None:
    model, x = Applied(function).eval(), torch.randn(2, 3, 4, 4)
    graph = capture(model, (x,))
    assert [node.op for node in graph.nodes] == [Table((step,))]
    assert torch.equal(run(graph, x)[0], model(x)) or torch.isnan(model(x)).any()


COMPOSED: list[tuple[Callable[[Tensor], Tensor], int]] = [
    (nn.SELU(), 2),
    (nn.CELU(0.7), 3),
    (lambda x: F.elu(x, 0.5, False).mul(2.0), 2),
    (lambda x: torch.ops.aten.elu(x, 0.5, 1.2, 0.7), 3),
    (lambda x: torch.ops.aten.elu(x, 0.5, 0.7, 0.7), 2),
    (lambda x: torch.rsub(x, 1.0, alpha=2), 2),
    (lambda x: 2 / (x.abs() + 1), 4),
]


@pytest.mark.parametrize(("function", "steps"), COMPOSED)
def test_relatives_of_a_function_are_several_steps(
    function: Callable[[Tensor], Tensor], steps: int
) -> None:
    model, x = Applied(function).eval(), torch.randn(2, 3, 4, 4)
    graph = capture(model, (x,))
    tables = [node.op for node in graph.nodes]
    assert all(isinstance(op, Table) for op in tables)
    assert sum(len(op.steps) for op in tables if isinstance(op, Table)) == steps
    torch.testing.assert_close(run(graph, x)[0], model(x), rtol=1e-6, atol=1e-6)


def test_integers_and_unknown_numbers_are_no_table() -> None:
    to, x = float_graph(("N", 3))
    whole = to.input("i", ("N", 3), Plain(torch.int64))
    size = to.input("n", (), Size())
    assert tabulated(to, ("N", 3), whole, ("abs", "x")) == "it computes with integers"
    unknown = "a number in it is computed at run time"
    assert CAPTURES["aten.leaky_relu.default"](to, ("N", 3), x, size) == unknown
    assert CAPTURES["aten.pow.Tensor_Scalar"](to, ("N", 3), x, size) == unknown
    infinite = CAPTURES["aten.threshold.default"](to, ("N", 3), x, 0.0, float("-inf"))
    assert infinite == "a number in it is infinite"
    more = "its number has more dimensions than its operand"
    assert tabulated(to, (1, "N", 3), x, ("add", "x", 1.0)) == more
    assert CAPTURES["aten.rrelu.default"](to, ("N", 3), x, 0.1, 0.3, True) == "its slope is random"
    assert not to.nodes


def test_a_number_is_a_number_or_a_constant_of_one_element() -> None:
    to, x = float_graph(("N", 3))
    assert number_of(to, 3) == 3.0
    assert number_of(to, to.constant("c", torch.tensor([[2.0]]))) == 2.0
    assert number_of(to, to.constant("v", torch.ones(3))) is None
    assert number_of(to, x) is None


def test_the_functions_of_all_captures_exist() -> None:
    to, x = float_graph(("N", 3))
    for rule in CAPTURES.values():
        if rule.__name__ == "rule":  # those made of a name alone
            value = rule(to, ("N", 3), x, 0.5, 0.5, 0.5)
            assert not isinstance(value, str)
    for node in to.nodes:
        assert isinstance(node.op, Table)
        assert all(step[0] in FUNCTIONS for step in node.op.steps)


def test_a_function_of_float64_or_integers_is_an_island() -> None:
    graph = capture(Applied(lambda x: x.double().exp().float()), (torch.randn(2, 3),))
    assert not any(isinstance(node.op, Table) for node in graph.nodes)
    graph = capture(Applied(lambda x: x + x.argmax(1, keepdim=True).neg()), (torch.randn(2, 3),))
    targets = [node.op.target for node in graph.nodes if isinstance(node.op, Opaque)]
    assert "aten.neg.default" in targets
