from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.ops import naive
from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.value import Plain
from zeropoint.ops.add import Add, add

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


def test_an_addition_that_has_no_integer_form_says_why() -> None:
    to, a = float_graph(("N", 3))
    constant = to.constant("c", torch.ones(3))
    index = to.input("i", ("N", 3), Plain(torch.int64))
    no_constant = "adding a constant has no integer form yet"
    assert add(to, a.shape, a, 1.0) == no_constant
    assert add(to, a.shape, a, constant) == no_constant
    assert add(to, a.shape, constant, a) == no_constant
    assert add(to, a.shape, a, a, alpha=2) == "adding with alpha=2 has no integer form yet"
    assert add(to, a.shape, a, index) == "it adds integers"
    assert not to.nodes
