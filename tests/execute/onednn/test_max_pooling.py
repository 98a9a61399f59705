"""A primitive that is made once for a shape."""

import pytest
import torch
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.max_pooling import MaxPooling
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.window import Window

LAST = torch.channels_last


def pooling(library: Library, size: int = 3, stride: int = 2, padding: int = 1) -> MaxPooling:
    window = Window((stride, stride), (padding, padding), (1, 1), 1)
    return MaxPooling(library, Memory(), (size, size), window)


def codes(*shape: int) -> Tensor:
    q = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    return q.to(torch.uint8).contiguous(memory_format=LAST)


def test_a_primitive_takes_any_shape_that_comes(library: Library) -> None:
    pool = pooling(library)
    for shape in ((2, 3, 8, 8), (1, 3, 9, 7), (2, 3, 8, 8), (4, 1, 1, 1)):
        x = codes(*shape)
        expected = torch.nn.functional.max_pool2d(x.float(), 3, 2, 1)
        assert torch.equal(pool(x).float(), expected)


def test_an_image_that_no_window_fits_into_is_an_error(library: Library) -> None:
    with pytest.raises(EngineError, match="image of 2x2 pixels is too small for a window of 5x5"):
        pooling(library, size=5, padding=0)(codes(1, 1, 2, 2))
