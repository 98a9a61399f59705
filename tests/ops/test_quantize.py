import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import FixedPoint, Float32
from zeropoint.graph.op import Grid, Op, Role, Signature
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize, move

OLD = per_tensor(0.1, 20, UINT8)


def moved(codes: list[int], new: QParams) -> list[int]:
    q = torch.tensor(codes, dtype=torch.uint8)
    return [int(code) for code in move(q, OLD, new, Float32())]


def test_the_real_numbers_stay_and_the_grid_changes() -> None:
    assert moved([20, 24, 26, 10], per_tensor(0.4, 50, UINT8)) == [50, 51, 52, 48]


def test_what_does_not_fit_the_new_grid_saturates() -> None:
    assert moved([0, 255], per_tensor(0.001, 50, UINT8)) == [0, 255]
    assert moved([0, 255], per_tensor(0.1, 5, IntegerType(4, signed=False))) == [0, 15]


def test_nothing_happens_on_the_same_grid() -> None:
    q = torch.tensor([0, 7, 255], dtype=torch.uint8)
    assert move(q, OLD, per_tensor(0.1, 20, UINT8), Float32()) is q


@given(st.integers(0, 255), st.integers(0, 255))
def test_there_and_back_on_a_finer_grid_loses_nothing(code: int, zero_point: int) -> None:
    fine = per_tensor(0.01, zero_point - 128, IntegerType(16, signed=True))
    for arithmetic in (Float32(), FixedPoint("single"), FixedPoint("double")):
        there = move(torch.tensor([code], dtype=torch.uint8), OLD, fine, arithmetic)
        assert move(there, fine, OLD, arithmetic).tolist() == [code]


def test_requantize_moves_from_the_operand_s_grid_to_the_result_s() -> None:
    q, new = torch.tensor([24], dtype=torch.uint8), per_tensor(0.4, 50, UINT8)
    assert Requantize().run_integer([q], Signature((OLD,), new), Float32()).tolist() == [51]
    assert Requantize().roles(1) == (Role.ACTIVATION,)
    assert Requantize.grid is Grid.OWN


@pytest.mark.parametrize("op", [Quantize(), Dequantize(), Requantize()])
def test_in_a_float_graph_the_fences_do_nothing(op: Op) -> None:
    x = torch.rand(3)
    assert op.run(x) is x
