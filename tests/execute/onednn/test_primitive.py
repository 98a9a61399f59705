"""The memory that results reuse."""

from concurrent.futures import ThreadPoolExecutor

import torch

from zeropoint.execute.onednn.primitive import Pool

SHAPE = (2, 3, 4, 5)
LAST = torch.channels_last


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


def test_temporary_memory_is_shared_within_a_thread_and_grows() -> None:
    pool = Pool()
    first = pool.scratch(100)
    assert len(first) >= 100
    assert pool.scratch(50) is first
    assert len(pool.scratch(1000)) >= 1000
    with ThreadPoolExecutor(1) as other:
        theirs = other.submit(pool.scratch, 1000).result()
    assert theirs.data_ptr() != pool.scratch(1000).data_ptr()
