"""Where each value lives: in what the caller hands in, or in the arena.

    inputs      where the caller has them; they are only read
    outputs     where the caller wants them, from the step that writes them on
    the rest    in the arena, from the step that writes it to the last that reads it

A value that is another one under a new shape shares its place, and an elementwise result takes the
place of an operand that nothing else needs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zeropoint.export.c.arena import Buffer, pack
from zeropoint.export.c.step import Alias, Step


@dataclass(frozen=True)
class Place:
    """`offset` bytes into the arena, or the input or output of that index."""

    base: str  # "input", "output" or "arena"
    offset: int


@dataclass(frozen=True)
class Memory:
    """The place of each value, the bytes of the arena, and the outputs that have to be copied.

    `copies` pairs an output's index with the value that it repeats: an input, or what is in another
    output already.
    """

    places: Mapping[str, Place]
    arena: int
    copies: tuple[tuple[int, str], ...]


def lay_out(
    inputs: Sequence[str],
    outputs: Sequence[str],
    steps: Mapping[str, Step | Alias],
    shapes: Mapping[str, tuple[int, ...]],
) -> Memory:
    """The memory of a program; every value in it has one byte an element, or is an output."""
    roots = _roots(inputs, steps)
    calls = [step for step in steps.values() if isinstance(step, Step)]
    fixed = {name: Place("input", i) for i, name in enumerate(inputs)}
    copies = []
    for i, name in enumerate(outputs):
        if roots[name] in fixed:
            copies.append((i, name))
        else:
            fixed[roots[name]] = Place("output", i)
    last = _last_reads(calls, roots)
    homes = _homes(calls, roots, fixed, last, shapes)
    buffers = _buffers(calls, homes, fixed, last, shapes)
    arena = pack(list(buffers.values()))
    offsets = dict(zip(buffers, arena.offsets, strict=True))
    places = fixed | {name: Place("arena", offset) for name, offset in offsets.items()}
    where = {name: places[homes.get(root, root)] for name, root in roots.items()}
    return Memory(where, arena.size, tuple(copies))


def _roots(inputs: Sequence[str], steps: Mapping[str, Step | Alias]) -> dict[str, str]:
    """The value that first held the integers of each value."""
    roots = {name: name for name in inputs}
    for name, step in steps.items():
        roots[name] = roots[step.of] if isinstance(step, Alias) else name
    return roots


def _last_reads(calls: Sequence[Step], roots: Mapping[str, str]) -> dict[str, int]:
    """The last step that reads each root; one that nobody reads dies where it is written."""
    last = {}
    for index, step in enumerate(calls):
        last[step.writes] = index
        for name in step.reads:
            last[roots[name]] = index
    return last


def _homes(
    calls: Sequence[Step],
    roots: Mapping[str, str],
    fixed: Mapping[str, Place],
    last: Mapping[str, int],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, str]:
    """The root whose memory each root uses: its own, or that of an operand it overwrites.

    Where the result is an output, the operand moves to the output's memory instead: accumulators
    exist nowhere else.
    """
    homes = {step.writes: step.writes for step in calls}
    for index, step in enumerate(calls):
        for operand in step.overwrites:
            root = roots[operand]
            alone = sum(roots[name] == root for call in step.calls for name in call.reads) == 1
            same_size = math.prod(shapes[operand]) == math.prod(shapes[step.writes])
            if root in fixed or last[root] > index or not alone or not same_size:
                continue
            if step.writes not in fixed:
                homes[step.writes] = homes[root]
                break
            if homes[root] == root:
                homes[root] = step.writes
                break
    return homes


def _buffers(
    calls: Sequence[Step],
    homes: Mapping[str, str],
    fixed: Mapping[str, Place],
    last: Mapping[str, int],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, Buffer]:
    """The life of each home in the arena."""
    buffers: dict[str, Buffer] = {}
    for index, step in enumerate(calls):
        home, end = homes[step.writes], last[step.writes]
        if home in fixed:
            continue
        known = buffers.get(home)
        begin = known.begin if known else index
        buffers[home] = Buffer(math.prod(shapes[step.writes]), begin, end)
    return buffers
