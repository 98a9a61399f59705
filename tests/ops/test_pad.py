import pytest
import torch

from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import dequantize, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.ops.pad import Pad, constant_pad, pad


@pytest.mark.parametrize("zero_point", [0, 3, 128, 255])
def test_padding_pads_with_the_zero_point(zero_point: int) -> None:
    params = per_tensor(0.5, zero_point, UINT8)
    q = torch.full((1, 1, 1, 2), 77, dtype=torch.uint8)
    y = Pad((1, 2, 0, 1)).run_integer([q], Signature((params,), params), Float32())
    z = zero_point
    assert y[0, 0].tolist() == [[z, 77, 77, z, z], [z, z, z, z, z]]
    real = Pad((1, 2, 0, 1)).run(dequantize(q, params))
    assert torch.equal(dequantize(y, params), real)


def test_it_stays_on_the_grid_of_its_operand() -> None:
    assert Pad((1, 1)).roles(1) == (Role.ACTIVATION,)
    assert Pad.grid is Grid.SHARED


def test_padding_with_zeros_is_captured() -> None:
    to, x = float_graph(("N", 3, 4, 4))
    pad(to, x.shape, x, [1, 2, 3, 4])
    pad(to, x.shape, x, [1, 1], "constant", 0.0)
    constant_pad(to, x.shape, x, (2, 0))
    assert [node.op for node in to.nodes] == [Pad((1, 2, 3, 4)), Pad((1, 1)), Pad((2, 0))]


def test_padding_that_has_no_integer_form_says_why() -> None:
    to, x = float_graph(("N", 3, 4, 4))
    size = to.input("size", (1,))
    assert pad(to, x.shape, x, [1, 1], "reflect") == "padding by 'reflect' has no integer form yet"
    assert pad(to, x.shape, x, [1, 1], "constant", 2.0) == (
        "padding with 2.0 has no integer form; zero has"
    )
    computed: list[int] = [1, size]  # type: ignore[list-item]  # what torch.export may hand
    assert constant_pad(to, x.shape, x, computed) == "its amounts are computed at run time"
