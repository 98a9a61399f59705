"""Primitives that are made once for a shape, and the memory that their results reuse."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor, quantize
from zeropoint.errors import EngineError
from zeropoint.execute.onednn.library import Library, find_library
from zeropoint.execute.onednn.primitive import MaxPooling, Pool, Quantization, Window

SHAPE = (2, 3, 4, 5)
LAST = torch.channels_last


@pytest.fixture
def library() -> Library:
    found = find_library()
    if found is None:
        pytest.skip("this torch does not show oneDNN's functions")
    return found


# --- memory --------------------------------------------------------------------------------------


def test_memory_that_was_given_back_is_used_again() -> None:
    pool = Pool()
    pool.begin((SHAPE,))
    first = pool.take(SHAPE)
    assert first.is_contiguous(memory_format=LAST)
    pool.give(first)
    assert pool.take(SHAPE).data_ptr() == first.data_ptr()
    assert pool.take(SHAPE).data_ptr() != first.data_ptr()


def test_memory_of_another_shape_is_not_used() -> None:
    pool = Pool()
    pool.give(pool.take(SHAPE))
    assert pool.take((2, 3, 5, 4)).shape == (2, 3, 5, 4)


def test_memory_is_let_go_when_inputs_have_another_shape() -> None:
    pool = Pool()
    pool.begin((SHAPE,))
    first = pool.take(SHAPE)
    pool.give(first)
    pool.begin(((1, 3, 4, 5),))
    assert pool.take(SHAPE).data_ptr() != first.data_ptr()


def test_every_thread_has_memory_of_its_own() -> None:
    pool = Pool()
    mine = pool.take(SHAPE)
    pool.give(mine)
    with ThreadPoolExecutor(1) as other:
        theirs = other.submit(pool.take, SHAPE).result()
    assert theirs.data_ptr() != mine.data_ptr()


# --- primitives ----------------------------------------------------------------------------------


def pooling(library: Library, size: int = 3, stride: int = 2, padding: int = 1) -> MaxPooling:
    window = Window((stride, stride), (padding, padding), (1, 1), 1)
    return MaxPooling(library, Pool(), (size, size), window)


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


def test_quantizing_goes_from_any_layout_to_channels_last(library: Library) -> None:
    params = per_tensor(0.0173, 100, UINT8)
    x = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    quantization = Quantization(library, Pool(), params.scale.item(), 100, channels_last=True)
    for layout in (x, x.contiguous(memory_format=LAST), x.transpose(2, 3)):
        q = quantization(layout)
        assert q.is_contiguous(memory_format=LAST)
        assert (q.int() - quantize(layout, params).int()).abs().max() <= 1


def test_quantizing_rows_leaves_them_rows(library: Library) -> None:
    params = per_tensor(0.0173, 100, UINT8)
    x = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    quantization = Quantization(library, Pool(), params.scale.item(), 100, channels_last=False)
    q = quantization(x, torch.empty(x.shape, dtype=torch.uint8))
    assert q.is_contiguous()
    assert (q.int() - quantize(x, params).int()).abs().max() <= 1
