import pytest
import torch

from zeropoint.execute.onednn.layout import channels_last, copy, empty

SHAPES = [(2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)]


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Those of channels_last: batch, channels, then pixels."""
    batch, channels, *sizes = shape
    rows = torch.empty(batch, *sizes, channels).stride()
    return (rows[0], rows[-1], *rows[1:-1])


@pytest.mark.parametrize("shape", SHAPES)
def test_channels_lie_side_by_side_in_any_number_of_dimensions(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    expected = strides(shape) if len(shape) > 2 else x.stride()
    for y in (channels_last(x), copy(x)):
        assert y.stride() == expected
        assert torch.equal(y, x)
    assert empty(shape, torch.uint8).stride() == expected


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_in_channels_last_is_not_copied(shape: tuple[int, ...]) -> None:
    x = copy(torch.randn(shape))
    assert channels_last(x).data_ptr() == x.data_ptr()
    assert copy(x).data_ptr() != x.data_ptr()
