from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.ops.spelled import assert_close, assert_codes_move, inputs
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import dequantize, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.ops.pad import Pad, PadWith, constant_pad, pad


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
    assert pad(to, x.shape, x, [1, 1], "mirror") == "padding by 'mirror' has no integer form"
    assert pad(to, x.shape, x, [1, 1], "constant", float("nan")) == (
        "padding with nan has no integer form"
    )


def test_padding_with_nothing_is_gone() -> None:
    to, x = float_graph(("N", 3, 4, 4))
    assert pad(to, x.shape, x, [0, 0, 0, 0], "reflect") is x
    assert not to.nodes


# --- other kinds ---------------------------------------------------------------------------------

SPELLINGS: dict[str, tuple[Callable[[Tensor], Tensor], object]] = {
    "reflect": (lambda y: F.pad(y, (1, 2, 3, 0), mode="reflect"), Pad((1, 2, 3, 0), "reflect")),
    "ReflectionPad2d": (nn.ReflectionPad2d(1), Pad((1, 1, 1, 1), "reflect")),
    "replicate": (
        lambda y: F.pad(y, (1, 2, 0, 0), mode="replicate"),
        Pad((1, 2, 0, 0), "replicate"),
    ),
    "ReplicationPad2d": (nn.ReplicationPad2d((0, 1, 2, 0)), Pad((0, 1, 2, 0), "replicate")),
    "circular": (lambda y: F.pad(y, (1, 1, 2, 2), mode="circular"), Pad((1, 1, 2, 2), "circular")),
    "ZeroPad2d": (nn.ZeroPad2d((1, 0, 1, 0)), Pad((1, 0, 1, 0))),
    "a crop": (lambda y: F.pad(y, (-1, -1, 0, 2)), Pad((-1, -1, 0, 2))),
}


@pytest.mark.parametrize(("function", "op"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_kind_puts_codes_around_codes(
    function: Callable[[Tensor], Tensor], op: object
) -> None:
    assert assert_codes_move(function, inputs(5, 6), inputs(7, 4)) == [op]


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("sizes", [(5,), (4, 5, 6)])
def test_lines_and_volumes_are_padded_in_every_mode(sizes: tuple[int, ...], mode: str) -> None:
    amounts = (1, 2) * len(sizes)
    ops = assert_codes_move(lambda y: F.pad(y, amounts, mode=mode), inputs(*sizes))
    assert ops == [Pad(amounts, mode)]


def test_an_image_is_padded_to_the_size_of_another() -> None:
    def function(y: Tensor) -> list[Tensor]:
        small = y[:, :, ::2, ::2]
        rows, columns = y.shape[2] - small.shape[2], y.shape[3] - small.shape[3]
        amounts = [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
        return [F.pad(small, amounts), y]

    ops = assert_codes_move(function, inputs(6, 8), inputs(5, 7))
    assert ops[-1] == Pad((None, None, None, None))


@pytest.mark.parametrize(("value", "code"), [(float("inf"), 255), (-float("inf"), 0)])
def test_an_infinity_is_the_end_of_the_grid(value: float, code: int) -> None:
    params = per_tensor(0.5, 7, UINT8)
    q = torch.full((1, 1, 2), 77, dtype=torch.uint8)
    y = Pad((1, 0), value=value).run_integer([q], Signature((params,), params), Float32())
    assert y.tolist() == [[[code, 77, 77]]]


def test_any_other_number_asks_for_a_grid_that_has_it() -> None:
    ops = assert_close(lambda y: F.pad(y, (1, 1, 1, 1), value=9.5), inputs(4, 5), inputs(6, 3))
    assert ops == [PadWith((1, 1, 1, 1), 9.5)]
    fine, coarse = per_tensor(0.1, 0, UINT8), per_tensor(0.4, 50, UINT8)
    q = torch.tensor([[40, 43]], dtype=torch.uint8)
    y = PadWith((0, 1), -3.0).run_integer([q], Signature((fine,), coarse), Float32())
    assert y.tolist() == [[60, 61, 43]]  # -3 is a hair less than 7.5 steps of float32(0.4)
    assert PadWith.grid is Grid.OWN
