"""What is checked before oneDNN sees an address."""

import pytest
import torch

from zeropoint.errors import EngineError
from zeropoint.execute.onednn.layout import channels_last
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.max_pooling import MaxPooling
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.primitive import SHAPES_KEPT
from zeropoint.execute.onednn.window import Window


@pytest.fixture
def pooling(library: Library) -> MaxPooling:
    return MaxPooling(library, Memory(), (2, 2), Window((2, 2), (0, 0), (1, 1), 1))


def image(*shape: int) -> torch.Tensor:
    return channels_last(torch.arange(torch.Size(shape).numel()).reshape(shape).to(torch.uint8))


def test_a_tensor_that_lies_elsewhere_than_was_described_is_not_read(pooling: MaxPooling) -> None:
    with pytest.raises(AssertionError, match="strides"):
        pooling(image(1, 3, 4, 4).contiguous())


def test_nothing_is_made_of_nothing(pooling: MaxPooling) -> None:
    assert pooling(image(0, 3, 4, 4)).shape == (0, 3, 2, 2)


def test_a_result_has_the_memory_that_is_written_to(pooling: MaxPooling) -> None:
    onto = image(1, 3, 2, 2)
    assert pooling(image(1, 3, 4, 4), onto) is onto
    with pytest.raises(EngineError, match=r"\(1, 3, 2, 2\) and \(1, 3, 2, 1\)"):
        pooling(image(1, 3, 4, 4), image(1, 3, 2, 1))


def test_primitives_are_kept_for_the_latest_shapes(pooling: MaxPooling) -> None:
    for size in range(2, 2 + 2 * SHAPES_KEPT):
        pooling(image(1, 3, size, size))
    assert len(pooling._made) == len(pooling._threads.bound) == SHAPES_KEPT
