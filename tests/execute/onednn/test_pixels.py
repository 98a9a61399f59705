import pytest
import torch
from torch.nn import functional as F

from zeropoint.execute.onednn.layout import channels_last
from zeropoint.execute.onednn.pixels import pixel_shuffle


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((2, 12, 3, 5), 2), ((1, 9, 4, 4), 3), ((2, 3, 5, 2), 1), ((1, 4, 1, 1), 2)],
)
def test_it_is_torch_s(shape: tuple[int, ...], factor: int) -> None:
    x = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    for given in (x, channels_last(x)):
        assert torch.equal(pixel_shuffle(given, factor), F.pixel_shuffle(x, factor))
