from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.ops.spelled import assert_close, captured, inputs, operators
from zeropoint.arithmetic.integer import INT32, UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.value import Plain
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul, addmm, einsum, linear_of_any, matmul
from zeropoint.ops.permute import Permute

A, B = per_tensor(0.02, 100, UINT8), per_tensor(0.03, 7, UINT8)

SPELLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "@": lambda y: y @ y.mT,
    "matmul": lambda y: torch.matmul(y.mT, y),
    "bmm": lambda y: torch.bmm(y.flatten(2), y.flatten(2).transpose(1, 2)),
    "mm": lambda y: torch.mm(y.flatten(1).T, y.flatten(1)),
    "linear with a computed weight": lambda y: torch.nn.functional.linear(y, y[0, 0]),
    "attention": lambda y: torch.einsum("bhqd,bhkd->bhqk", y, y),
    "its second half": lambda y: torch.einsum("bhqk,bhkd->bqhd", y @ y.mT, y),
    "channels": lambda y: torch.einsum("nchw,ndhw->ncd", y, y),
    "a row less": lambda y: torch.einsum("nhw,nchw->nch", y[:, 0], y),
    "spaces": lambda y: torch.einsum("n c h w, n c k w -> n c h k", y, y),
}


@pytest.mark.parametrize("function", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_a_product_of_matrices(function: Callable[[Tensor], Tensor]) -> None:
    ops = assert_close(function, inputs(4, 5))
    assert MatMul() in ops


def test_both_factors_have_a_zero_point() -> None:
    a, b = torch.tensor([[101, 98]], dtype=torch.uint8), torch.tensor([[10], [7]]).byte()
    wide = QParams(A.scale * B.scale, torch.tensor(0, dtype=torch.int32), INT32)
    assert MatMul().run_integer((a, b), Signature((A, B), wide), Float32()).tolist() == [[3]]
    y = per_tensor(0.0009, 50, UINT8)
    found = MatMul().run_integer((a, b), Signature((A, B), y), Float32())
    assert found.tolist() == [[52]]  # 3 times 0.0006 / 0.0009
    assert found.dtype == torch.uint8


def test_it_reads_two_activations_and_has_a_grid_of_its_own() -> None:
    assert MatMul().roles(2) == (Role.ACTIVATION, Role.ACTIVATION)
    assert MatMul.grid is Grid.OWN


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y.mean((2, 3)) @ torch.ones(8, 3),
        lambda y: torch.addmm(torch.ones(3), y.mean((2, 3)), torch.ones(8, 3)),
    ],
)
def test_a_constant_matrix_makes_it_a_linear_layer(function: Callable[[Tensor], Tensor]) -> None:
    assert operators(captured(function, inputs(4, 5)))[-1] == Linear()


def test_letters_in_another_order_are_permuted_back() -> None:
    to, x = float_graph((2, 3, 4))
    einsum(to, (5, 4, 2), "bij,kij->kjb", [x, to.input("y", (5, 3, 4))])
    assert to.nodes[-1].op == Permute((2, 0, 1))
    assert MatMul() in [node.op for node in to.nodes]


@pytest.mark.parametrize(
    "equation",
    [
        "ii->i",
        "ij,jk,kl->il",
        "ij,ij->ij",
        "i,j->ij",
        "ij,jk",
        "...ij,jk->...ik",
        "ijk,jl->ijlk",
        "ij,jk->i",
    ],
)
def test_an_einsum_that_is_something_else_says_so(equation: str) -> None:
    to, _ = float_graph((2, 3))
    names = equation.partition("->")[0].split(",")
    operands = [to.input(f"x{i}", (2,) * len(name.strip("."))) for i, name in enumerate(names)]
    assert einsum(to, (2, 2), equation, operands) == (
        f"einsum({equation!r}) is no product of two matrices"
    )


def test_a_product_that_has_no_integer_form_says_why() -> None:
    to, x = float_graph((2, 3))
    vector = to.input("v", (3,))
    index = Builder().input("i", (3, 2), Plain(torch.int64))
    assert matmul(to, (2,), x, vector) == "one of its operands is a vector"
    assert matmul(to, (2, 2), x, index) == "it multiplies integers"
    assert linear_of_any(to, (2, 2), x, x, vector) == "its weight is computed at run time"
    assert addmm(to, (2, 2), vector, x, x) == (
        "it is no linear layer: a factor or an offset is computed, or scaled"
    )
