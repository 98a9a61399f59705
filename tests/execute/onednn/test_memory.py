"""Memory that is planned from what a first call shows."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.execute.onednn.memory import Departure, Memory, Plan, Request, Watch

SHAPE = (2, 3, 4, 5)


def test_outside_a_call_memory_is_fresh_and_in_channels_last() -> None:
    memory = Memory()
    first, second = memory.take(SHAPE), memory.take(SHAPE)
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert first.data_ptr() != second.data_ptr()


def test_a_plan_reuses_what_nobody_needs_and_leaves_outputs_alone() -> None:
    plan = Plan((Request(SHAPE, 0, 1), Request(SHAPE, 1, 2), Request(SHAPE, 2, None)), frozenset())
    memory = Memory()
    addresses = []
    for _ in range(2):
        memory.follow(plan)
        addresses.append([memory.take(SHAPE) for _ in range(3)])
    (a, b, out), (c, d, other) = addresses
    assert (a.data_ptr(), b.data_ptr()) == (c.data_ptr(), d.data_ptr())
    assert a.data_ptr() != b.data_ptr()  # step 1 reads the one and writes the other
    assert out.data_ptr() != other.data_ptr()


REQUESTS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 3), st.none() | st.integers(0, 5)), max_size=12
)


@given(REQUESTS)
def test_no_two_values_that_live_at_once_share_a_byte(steps: list[tuple[int, int, int]]) -> None:
    requests, begin = [], 0
    for channels, more, life in steps:
        begin += more
        end = None if life is None else begin + life
        requests.append(Request((1, channels, 2, 3), begin, end))
    images = Plan(tuple(requests), frozenset()).arena()
    for request, image in zip(requests, images, strict=True):
        assert (image is None) == (request.end is None)
    lives = [(r, i) for r, i in zip(requests, images, strict=True) if i is not None]
    for place, (one, first) in enumerate(lives):
        for other, second in lives[place + 1 :]:
            assert one.end is not None  # those without are left out
            if other.begin <= one.end:
                assert first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()


def test_another_request_than_the_planned_one_departs() -> None:
    memory = Memory()
    memory.follow(Plan((Request(SHAPE, 0, 1),), frozenset()))
    with pytest.raises(Departure):
        memory.take((2, 3, 5, 4))
    memory.follow(Plan((), frozenset()))
    with pytest.raises(Departure):
        memory.take(SHAPE)


def test_every_thread_has_memory_of_its_own() -> None:
    memory, plan = Memory(), Plan((Request(SHAPE, 0, 1),), frozenset())

    def address() -> int:
        memory.follow(plan)
        return memory.take(SHAPE).data_ptr()

    mine = address()
    with ThreadPoolExecutor(1) as other:
        assert other.submit(address).result() != mine


def test_temporary_memory_is_shared_within_a_thread_and_grows() -> None:
    memory = Memory()
    first = memory.scratch(100)
    assert memory.scratch(50) == first
    memory.scratch(1000)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(memory.scratch, 1000).result() != memory.scratch(1000)


# --- what a call shows ---------------------------------------------------------------------------


def watched(kept: int | None = None) -> Plan:
    """Slot 1 from memory; slot 2 is a view of it; slot 3 from memory. Each lives for two steps."""
    memory = Memory()
    slots: list[Tensor | None] = [torch.zeros(1, 3, 2, 2, dtype=torch.uint8), None, None, None]
    last = [None if slot == kept else slot for slot in range(4)]
    watch = Watch(slots, last, memory.watch())
    image = memory.take((1, 3, 2, 2))
    slots[1] = image
    watch.wrote(0, [1])
    slots[2] = image[:, 1:]
    watch.wrote(1, [2])
    slots[3] = memory.take((1, 2, 2, 2))
    watch.wrote(2, [3])
    return watch.plan()


def test_memory_lives_as_long_as_the_last_view_of_it() -> None:
    plan = watched()
    assert [(r.begin, r.end) for r in plan.requests] == [(0, 2), (2, 3)]


def test_memory_that_an_output_views_is_never_planned() -> None:
    plan = watched(kept=2)
    assert [(r.begin, r.end) for r in plan.requests] == [(0, None), (2, 3)]


def test_only_memory_that_no_other_value_needs_may_be_overwritten() -> None:
    memory = Memory()
    image = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    slots: list[object] = [image, memory.take(SHAPE), None, memory.take(SHAPE)]
    slots[2] = slots[1]
    for last, may in (([0, 0, 0, 0], True), ([0, 0, 1, 0], False), ([0, None, 0, 0], False)):
        watch = Watch(list(slots), last, memory.watch())
        watch._foreign = {image.untyped_storage().data_ptr()}
        assert watch.may_overwrite(0, 1, [3]) is may
        assert not watch.may_overwrite(0, 1, [2])  # the step reads it otherwise, too
        assert not watch.may_overwrite(0, 0, [3])  # the user's


def test_pieces_of_memory_come_in_the_order_in_which_they_are_asked_for() -> None:
    plan = watched()
    assert all(a.begin <= b.begin for a, b in pairwise(plan.requests))
