from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.nets import run
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.capture import capture
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.value import Plain
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.extremes import Maximum, Minimum, maximum, minimum

A = per_tensor(0.021, 100, UINT8)
B = per_tensor(0.037, 7, UINT8)
Y = per_tensor(0.053, 60, UINT8)
EXTREMES = pytest.mark.parametrize(("op", "chosen"), [(Maximum(), max), (Minimum(), min)])

codes = st.integers(0, 255)


def result(op: Maximum | Minimum, a: int, b: int, grid: QParams = Y) -> int:
    operands = [torch.tensor([q], dtype=torch.uint8) for q in (a, b)]
    y = op.run_integer(operands, Signature((A, B), grid), Float32())
    assert y.dtype == torch.uint8
    return int(y)


@EXTREMES
@given(codes, codes)
def test_the_chosen_number_is_rounded_once(
    op: Maximum | Minimum, chosen: Callable[..., float], a: int, b: int
) -> None:
    exact = chosen(0.021 * (a - 100), 0.037 * (b - 7)) / 0.053 + 60
    assert abs(result(op, a, b) - min(max(exact, 0), 255)) <= 0.5001


@EXTREMES
@given(codes, codes)
def test_an_operand_on_the_grid_of_the_result_stays_what_it_is(
    op: Maximum | Minimum, chosen: Callable[..., int], a: int, b: int
) -> None:
    other = result(op, a, b, A)
    assert other == a or other == chosen(a, other)


def test_the_float_form() -> None:
    a, b = torch.tensor([-3.0, 1.0]), torch.tensor([1.0, -2.0])
    assert Maximum().run(a, b).tolist() == [1.0, 1.0]
    assert Minimum().run(a, b).tolist() == [-3.0, -2.0]


def test_they_read_two_activations_and_have_grids_of_their_own() -> None:
    for op in (Maximum(), Minimum()):
        assert op.roles(2) == (Role.ACTIVATION, Role.ACTIVATION)
        assert op.grid is Grid.OWN


class Extremes(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        a = torch.maximum(x, y) + torch.max(x, y) + torch.fmax(x, y)
        return a - torch.minimum(x, y) - torch.min(y, x) - torch.fmin(x, y)


def test_every_spelling_is_captured() -> None:
    x, y = torch.randn(2, 2, 3, 4, 4)
    graph = capture(Extremes(), (x, y))
    names = [node.op.name for node in graph.nodes]
    assert (names.count("maximum"), names.count("minimum")) == (3, 3)
    assert torch.equal(run(graph, x, y)[0], Extremes()(x, y))


def test_the_greater_of_a_tensor_and_a_number_is_a_clamp() -> None:
    to, x = float_graph(("N", 3))
    number = to.constant("c", torch.tensor(2.0))
    maximum(to, x.shape, x, number)
    minimum(to, x.shape, number, x)
    assert [node.op for node in to.nodes] == [Clamp(low=2.0), Clamp(high=2.0)]


def test_integers_are_not_compared() -> None:
    to, x = float_graph(("N", 3))
    index = to.input("i", ("N", 3), Plain(torch.int64))
    assert maximum(to, x.shape, x, index) == "it computes with integers"
