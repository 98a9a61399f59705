"""Tensors of any rank as four nested loops: neighbouring axes that behave alike become one."""

import math
from collections.abc import Sequence

RANK = 4
Extents = tuple[int, ...]


def broadcast_strides(a: Sequence[int], b: Sequence[int]) -> tuple[Extents, tuple[Extents, ...]]:
    """The extents of a + b, and the strides of both, 0 along an axis that is repeated.

    >>> broadcast_strides((2, 8, 5, 5), (2, 8, 1, 1))
    ((1, 1, 16, 25), ((0, 0, 25, 1), (0, 0, 1, 0)))

    ValueError if that takes more than four loops.
    """
    rank = max(len(a), len(b))
    shapes = [(1,) * (rank - len(shape)) + tuple(shape) for shape in (a, b)]
    # One entry an axis: its extent, and what each operand has along it.
    axes: list[tuple[int, Extents]] = []
    for pair in zip(*shapes, strict=True):
        extent = max(pair)
        if extent == 1:
            continue
        repeated = tuple(size == 1 for size in pair)
        if axes and axes[-1][1] == repeated:
            axes[-1] = (axes[-1][0] * extent, repeated)
        else:
            axes.append((extent, repeated))
    _check(len(axes), "arithmetic between shapes that broadcast in turns")
    axes = [(1, (1, 1))] * (RANK - len(axes)) + axes
    extents = tuple(extent for extent, _ in axes)
    return extents, tuple(_strides(axes, operand) for operand in (0, 1))


def _strides(axes: Sequence[tuple[int, Extents]], operand: int) -> Extents:
    strides, step = [], 1
    for extent, repeated in reversed(axes):
        strides.append(0 if repeated[operand] else step)
        step *= 1 if repeated[operand] else extent
    return tuple(reversed(strides))


def merged_padding(
    shape: Sequence[int], amounts: Sequence[int]
) -> tuple[Extents, Extents, Extents]:
    """The extents inside and outside, and what stands before; `amounts` as in F.pad.

    >>> merged_padding((1, 3, 8, 8), (1, 2))
    ((1, 1, 24, 8), (1, 1, 24, 11), (0, 0, 0, 1))

    ValueError if that takes more than four loops.
    """
    untouched = len(shape) - len(amounts) // 2
    leading = [math.prod(shape[:untouched])]
    inside = leading + list(shape[untouched:])
    before = [0, *amounts[-2::-2]]
    after = [0, *amounts[::-1][::2]]
    _check(len(inside), "padding of more than three dimensions")
    more = RANK - len(inside)
    outside = [i + b + a for i, b, a in zip(inside, before, after, strict=True)]
    return (
        (*[1] * more, *inside),
        (*[1] * more, *outside),
        (*[0] * more, *before),
    )


def _check(loops: int, what: str) -> None:
    if loops > RANK:
        raise ValueError(f"{what} takes {loops} loops; C has {RANK}")
