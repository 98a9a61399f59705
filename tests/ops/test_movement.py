import torch

from tests.ops.spelled import assert_close, assert_codes_move, inputs
from zeropoint.graph.op import Grid, Role
from zeropoint.graph.value import Size, Value
from zeropoint.ops.movement import put_in, taken_out
from zeropoint.ops.permute import Permute
from zeropoint.ops.shuffle import PixelShuffle


def test_what_moves_reads_an_activation_and_sizes_and_keeps_the_grid() -> None:
    assert Permute((0, 1)).roles(3) == (Role.ACTIVATION, Role.SIZE, Role.SIZE)
    assert Permute.grid is Grid.SHARED


def test_sizes_come_out_of_a_call_and_go_back_into_it() -> None:
    size = Value("h", Size(), ("H",))
    numbers, sizes = taken_out([1, size, -1, size])
    assert numbers == (1, None, -1, None)
    assert sizes == [size, size]
    assert put_in(numbers, [5, 7]) == [1, 5, -1, 7]


def test_several_movements_in_a_row_are_one_grid() -> None:
    ops = assert_codes_move(
        lambda y: torch.flip(y.permute(0, 2, 3, 1)[:, 1:], (1,)).unsqueeze(1), inputs(6, 5)
    )
    assert [op.name for op in ops] == ["permute", "slice", "flip", "unsqueeze"]


def test_what_is_concatenated_of_one_value_stays_on_its_grid() -> None:
    # The focus layer: pixels to channels, by slices.
    def focus(y: torch.Tensor) -> torch.Tensor:
        parts = [y[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return torch.cat(parts, 1)

    assert_codes_move(focus, inputs(6, 8), inputs(4, 10))


def test_a_shuffle_between_two_layers_costs_no_rounding() -> None:
    (op,) = assert_close(lambda y: torch.pixel_shuffle(y, 2), inputs(3, 4))
    assert op == PixelShuffle(2)
