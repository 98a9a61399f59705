from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.nets import run
from tests.ops import naive
from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import Arithmetic, FixedPoint, Float32
from zeropoint.capture import capture
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.value import Plain, Size
from zeropoint.ops.mul import Mul, div, mul
from zeropoint.ops.table import Table

A = per_tensor(0.021, 100, UINT8)
B = per_tensor(0.0037, 7, UINT8)
Y = per_tensor(0.0113, 60, UINT8)

codes = st.integers(0, 255)


def product(a: list[int], b: list[int], op: Mul | None = None) -> list[int]:
    operands = [torch.tensor(q, dtype=torch.uint8) for q in (a, b)]
    y = (op or Mul()).run_integer(operands, Signature((A, B), Y), Float32())
    assert y.dtype == torch.uint8
    return [int(code) for code in y]


@given(codes, codes)
def test_a_product_is_the_exact_product_rounded_once(a: int, b: int) -> None:
    s_a, s_b, s_y = (Fraction(params.scale.item()) for params in (A, B, Y))
    exact = s_a * (a - 100) * s_b * (b - 7) / s_y
    assert product([a], [b]) == [naive.rounded(exact, Y, 0, 255)]


@pytest.mark.parametrize("arithmetic", [FixedPoint("single"), FixedPoint("double")], ids=repr)
@given(codes, codes)
def test_fixed_point_is_no_more_than_its_rounding_away(
    arithmetic: Arithmetic, a: int, b: int
) -> None:
    operands = [torch.tensor([q], dtype=torch.uint8) for q in (a, b)]
    (found,) = Mul().run_integer(operands, Signature((A, B), Y), arithmetic)
    exact = 0.021 * (a - 100) * 0.0037 * (b - 7) / 0.0113 + 60
    assert abs(int(found) - min(max(exact, 0), 255)) <= 1.001


def test_zero_times_anything_is_zero() -> None:
    assert product([100, 100, 31], [0, 255, 7]) == [60, 60, 60]


def test_a_product_saturates_and_may_be_bounded() -> None:
    assert product([255, 0], [255, 255]) == [255, 0]
    coarse, fine = per_tensor(1.0, 0, UINT8), per_tensor(0.1, 0, IntegerType(4, signed=False))
    q = torch.tensor([0, 1, 255], dtype=torch.uint8)
    assert Mul().run_integer((q, q), Signature((coarse, coarse), fine), Float32()).tolist() == [
        0, 10, 15,
    ]  # fmt: skip
    assert product([0, 100, 255], [255, 7, 255], Mul(0.0)) == [60, 60, 255]
    assert product([0, 100, 255], [255, 7, 255], Mul(-0.113, 0.226)) == [50, 60, 80]


def test_a_gate_is_broadcast() -> None:
    a = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    b = torch.randint(0, 256, (2, 3, 1, 1), dtype=torch.uint8)
    signature = Signature((A, B), Y)
    y = Mul().run_integer((a, b), signature, Float32())
    assert torch.equal(y, Mul().run_integer((a, b.expand_as(a)), signature, Float32()))


def test_the_float_form_is_the_product_with_bounds_and_changes_no_operand() -> None:
    a, b = torch.tensor([-3.0, 1.0]), torch.tensor([1.0, 2.0])
    assert Mul().run(a, b).tolist() == [-3.0, 2.0]
    assert Mul(-1.0, 1.5).run(a, b).tolist() == [-1.0, 1.5]
    assert (a.tolist(), b.tolist()) == ([-3.0, 1.0], [1.0, 2.0])


def test_it_reads_two_activations_and_has_a_grid_of_its_own() -> None:
    assert Mul().roles(2) == (Role.ACTIVATION, Role.ACTIVATION)
    assert Mul.grid is Grid.OWN


# --- capture -------------------------------------------------------------------------------------


class Products(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(3, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = x * x.mean((2, 3), keepdim=True)
        y = torch.mul(y.mul_(x), self.gain)
        return y / self.gain


def test_products_of_tensors_and_division_by_a_constant_are_products() -> None:
    model, x = Products(), torch.randn(2, 3, 4, 4)
    graph = capture(model, (x,))
    assert [node.op.name for node in graph.nodes] == ["global_average_pool", *["mul"] * 4]
    torch.testing.assert_close(run(graph, x)[0], model(x))


def test_numbers_make_tables() -> None:
    to, x = float_graph(("N", 3))
    mul(to, ("N", 3), x, 2)
    mul(to, ("N", 3), to.constant("two", torch.tensor(2.0)), x)
    div(to, ("N", 3), x, to.constant("four", torch.tensor([4.0])))
    div(to, ("N", 3), to.constant("one", torch.tensor(1.0)), x)
    assert [node.op for node in to.nodes] == [
        Table((("mul", "x", 2.0),)),
        Table((("mul", "x", 2.0),)),
        Table((("div", "x", 4.0),)),
        Table((("div", 1.0, "x"),)),
    ]


def test_what_has_no_integer_form_says_why() -> None:
    to, x = float_graph(("N", 3))
    index, size = to.input("i", ("N", 3), Plain(torch.int64)), to.input("n", (), Size())
    assert mul(to, x.shape, x, index) == "it computes with integers"
    assert mul(to, x.shape, x, size) == "a number in it is computed at run time"
    assert div(to, x.shape, x, x) == "dividing by a computed tensor has no integer form"
    assert div(to, x.shape, x, size) == "dividing by a computed tensor has no integer form"
    assert not to.nodes
