import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.export.c.arena import Arena, Buffer, most_at_once, pack

lives = st.tuples(st.integers(0, 12), st.integers(0, 5))
buffers = st.lists(
    st.builds(lambda size, life: Buffer(size, life[0], sum(life)), st.integers(1, 99), lives),
    max_size=12,
)


def chain(*sizes: int) -> list[Buffer]:
    """Each buffer is read by the step after the one that writes it."""
    return [Buffer(size, i, i + 1) for i, size in enumerate(sizes)]


@given(buffers)
def test_buffers_that_live_at_one_time_do_not_overlap(buffers: list[Buffer]) -> None:
    arena = pack(buffers)
    spans = list(zip(arena.offsets, buffers, strict=True))
    for i, (p, a) in enumerate(spans):
        assert 0 <= p <= arena.size - a.size
        for q, b in spans[:i]:
            together = a.begin <= b.end and b.begin <= a.end
            assert not together or p + a.size <= q or q + b.size <= p


@given(buffers)
def test_an_arena_is_no_smaller_than_what_lives_at_one_time(buffers: list[Buffer]) -> None:
    assert most_at_once(buffers) <= pack(buffers).size <= sum(b.size for b in buffers)


@given(st.lists(st.integers(1, 99), min_size=1, max_size=10))
def test_a_chain_takes_its_two_largest_neighbours(sizes: list[int]) -> None:
    largest = max(a + b for a, b in zip([*sizes, 0], [0, *sizes], strict=True))
    assert pack(chain(*sizes)).size <= 1.2 * largest + 1


@pytest.mark.parametrize("sizes", [(5, 4, 3, 5), (9, 1, 9), (1, 2, 3, 4, 5), (7,)])
def test_these_chains_are_packed_as_tightly_as_can_be(sizes: tuple[int, ...]) -> None:
    assert pack(chain(*sizes)).size == most_at_once(chain(*sizes))


def test_nothing_takes_nothing() -> None:
    assert pack([]) == Arena((), 0)


def test_memory_is_used_again_as_soon_as_it_is_free() -> None:
    assert pack(chain(4, 2, 4)).offsets == (0, 4, 0)
