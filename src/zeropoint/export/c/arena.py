"""Buffers that are never needed at the same time share memory.

    time   0  1  2  3
    conv1  ####             offset 0
    pool1     ####          offset 9408
    conv2        ####       offset 0

Each buffer is put at the lowest offset that is free while it lives; that depends on their order.
The largest first is a good one (Pisarchyk & Lee, arXiv:2001.03288), the oldest first is best for a
chain, and seeded shuffles try others until no order can be better: nothing is smaller than what
lives at one time.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHUFFLES = 200


@dataclass(frozen=True)
class Buffer:
    """`size` bytes that live from step `begin` to step `end`, both inclusive."""

    size: int
    begin: int
    end: int


@dataclass(frozen=True)
class Arena:
    """The offset of each buffer, and how many bytes all of them take."""

    offsets: tuple[int, ...]
    size: int


def pack(buffers: Sequence[Buffer]) -> Arena:
    """The smallest arena that some order of the buffers gives; the same one in every run."""
    least = most_at_once(buffers)
    best = Arena((), 0)
    for order in _orders(buffers):
        found = _packed(buffers, order)
        if not best.offsets or found.size < best.size:
            best = found
        if best.size == least:
            break
    return best


def most_at_once(buffers: Sequence[Buffer]) -> int:
    """The greatest number of bytes that live at one time."""
    times = {buffer.begin for buffer in buffers}
    return max(
        (sum(b.size for b in buffers if b.begin <= time <= b.end) for time in times), default=0
    )


def _orders(buffers: Sequence[Buffer]) -> Iterator[list[int]]:
    indices = list(range(len(buffers)))
    yield sorted(indices, key=lambda i: (-buffers[i].size, buffers[i].begin))
    yield sorted(indices, key=lambda i: (buffers[i].begin, -buffers[i].size))
    shuffled = random.Random(0)
    for _ in range(SHUFFLES):
        yield shuffled.sample(indices, len(indices))


def _packed(buffers: Sequence[Buffer], order: Sequence[int]) -> Arena:
    offsets: dict[int, int] = {}
    for i in order:
        rivals = sorted((offsets[j], buffers[j].size) for j in offsets if _meet(buffers, i, j))
        at = 0
        for offset, size in rivals:
            if at + buffers[i].size <= offset:
                break
            at = max(at, offset + size)
        offsets[i] = at
    size = max((offset + buffers[i].size for i, offset in offsets.items()), default=0)
    return Arena(tuple(offsets[i] for i in range(len(buffers))), size)


def _meet(buffers: Sequence[Buffer], i: int, j: int) -> bool:
    return buffers[i].begin <= buffers[j].end and buffers[j].begin <= buffers[i].end
