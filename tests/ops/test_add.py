from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.nets import run
from tests.ops import naive
from zeropoint.arithmetic.fixed_point import Rounding
from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import FixedPoint, Float32
from zeropoint.capture import capture
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.value import Plain, Size
from zeropoint.ops.add import Add, add, addcmul, rsub, sub
from zeropoint.ops.table import Table

A = per_tensor(0.021, 100, UINT8)
B = per_tensor(0.037, 7, UINT8)
Y = per_tensor(0.053, 60, UINT8)

codes = st.integers(0, 255)


def total(a: list[int], b: list[int], op: Add | None = None) -> list[int]:
    operands = [torch.tensor(q, dtype=torch.uint8) for q in (a, b)]
    y = (op or Add()).run_integer(operands, Signature((A, B), Y), Float32())
    assert y.dtype == torch.uint8
    return [int(code) for code in y]


@given(codes, codes)
def test_a_sum_is_the_exact_sum_rounded_once(a: int, b: int) -> None:
    s_a, s_b, s_y = (Fraction(params.scale.item()) for params in (A, B, Y))
    exact = (s_a * (a - 100) + s_b * (b - 7)) / s_y
    assert total([a], [b]) == [naive.rounded(exact, Y, 0, 255)]


def test_zero_and_zero_is_zero() -> None:
    assert total([100], [7]) == [60]


def test_a_sum_saturates() -> None:
    coarse, fine = per_tensor(1.0, 0, UINT8), per_tensor(0.1, 0, IntegerType(4, signed=False))
    q = torch.tensor([0, 1, 255], dtype=torch.uint8)
    y = Add().run_integer((q, q), Signature((coarse, coarse), fine), Float32())
    assert y.tolist() == [0, 15, 15]


def test_an_activation_is_bounds_of_the_sum() -> None:
    a, b = [0, 100, 255], [0, 7, 255]
    assert total(a, b, Add(0.0)) == [60, 60, 255]
    assert total(a, b, Add(-0.53, 1.06)) == [50, 60, 80]


def test_shapes_are_broadcast() -> None:
    a = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    b = torch.randint(0, 256, (2, 3, 1, 1), dtype=torch.uint8)
    signature = Signature((A, B), Y)
    y = Add().run_integer((a, b), signature, Float32())
    assert torch.equal(y, Add().run_integer((a, b.expand_as(a)), signature, Float32()))


def test_the_float_form_is_the_sum_with_bounds_and_changes_no_operand() -> None:
    a, b = torch.tensor([-3.0, 1.0]), torch.tensor([1.0, 2.0])
    assert Add().run(a, b).tolist() == [-2.0, 3.0]
    assert Add(0.0).run(a, b).tolist() == [0.0, 3.0]
    assert Add(-1.0, 2.5).run(a, b).tolist() == [-1.0, 2.5]
    assert (a.tolist(), b.tolist()) == ([-3.0, 1.0], [1.0, 2.0])


def test_it_reads_two_activations_and_has_a_grid_of_its_own() -> None:
    assert Add().roles(2) == (Role.ACTIVATION, Role.ACTIVATION)
    assert Add.grid is Grid.OWN


def test_the_addition_of_two_computed_tensors_is_captured() -> None:
    to, a = float_graph(("N", 3))
    b = to.input("b", ("N", 3))
    add(to, ("N", 3), a, b)
    assert to.nodes[-1].op == Add()


@given(codes, codes, st.sampled_from([-1.0, 0.4, -2.5]))
def test_the_second_operand_may_have_a_factor(a: int, b: int, alpha: float) -> None:
    s_a, s_b, s_y = (Fraction(params.scale.item()) for params in (A, B, Y))
    exact = (s_a * (a - 100) + Fraction(alpha) * s_b * (b - 7)) / s_y
    assert total([a], [b], Add(alpha=alpha)) == [naive.rounded(exact, Y, 0, 255)]


@pytest.mark.parametrize("rounding", ["single", "double"])
def test_a_difference_is_one_in_fixed_point_too(rounding: Rounding) -> None:
    a, b = torch.randint(0, 256, (2, 1000), dtype=torch.uint8)
    y = Add(alpha=-1.0).run_integer((a, b), Signature((A, B), Y), FixedPoint(rounding))
    exact = (0.021 * (a.double() - 100) - 0.037 * (b.double() - 7)) / 0.053 + 60
    assert ((y.double() - exact.clamp(0, 255)).abs() <= 0.501).all()


# --- capture -------------------------------------------------------------------------------------


class Sums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        z = torch.add(x, y, alpha=0.5) - y.square()
        z = z.sub(y, alpha=2).add_(x)
        z = torch.rsub(z, y) + self.offset
        return torch.addcmul(z, x, y, value=0.3) - (self.offset - x)


def test_sums_and_differences_of_tensors_are_sums() -> None:
    x, y = torch.randn(2, 2, 3, 4, 4)
    model = Sums()
    graph = capture(model, (x, y))
    kinds = [node.op.name for node in graph.nodes]
    assert kinds.count("add") == 9
    assert kinds.count("mul") == 1
    assert set(kinds) == {"add", "mul", "table"}
    torch.testing.assert_close(run(graph, x, y)[0], model(x, y))


def test_numbers_make_tables() -> None:
    to, x = float_graph(("N", 3))
    two = to.constant("two", torch.tensor(2.0))
    add(to, x.shape, x, 3, alpha=2)
    add(to, x.shape, two, x)
    add(to, x.shape, two, x, alpha=0.5)
    sub(to, x.shape, two, x)
    rsub(to, x.shape, x, 1)
    rsub(to, x.shape, x, 1, alpha=3)
    assert [node.op for node in to.nodes] == [
        Table((("add", "x", 6.0),)),
        Table((("add", "x", 2.0),)),
        Table((("mul", "x", 0.5), ("add", "x1", 2.0))),
        Table((("mul", "x", -1.0), ("add", "x1", 2.0))),
        Table((("sub", 1.0, "x"),)),
        Table((("mul", "x", 3.0), ("sub", 1.0, "x1"))),
    ]


def test_an_addition_that_has_no_integer_form_says_why() -> None:
    to, a = float_graph(("N", 3))
    index, size = to.input("i", ("N", 3), Plain(torch.int64)), to.input("n", (), Size())
    assert add(to, a.shape, a, index) == "it computes with integers"
    assert add(to, a.shape, index, 1) == "it computes with integers"
    assert add(to, a.shape, a, size) == "a number in it is computed at run time"
    one = to.input("one", ("N", 1))
    row = to.input("row", (1, 3))
    larger = "the product in it is larger than its factors"
    assert addcmul(to, a.shape, a, one, row) == larger
    assert addcmul(to, a.shape, a, index, index) == "it computes with integers"
    assert not to.nodes
