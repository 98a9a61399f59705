"""Windows over images: where those of averages begin and end; lines as images of one row."""

from collections.abc import Sequence

from zeropoint.ops.pool import AdaptiveAveragePool, AveragePool, GlobalAveragePool

Pair = tuple[int, int]
Windows = tuple[Pair, ...]
"""[begin, end) for each output row or column."""


def as_image(shape: Sequence[int]) -> tuple[int, ...]:
    """(N, C, H, W), also of a line (N, C, L)."""
    return tuple(shape) if len(shape) == 4 else (*shape[:2], 1, *shape[2:])


def as_pair(sizes: Sequence[int], missing: int = 1) -> Pair:
    """Something of height and width; of a line, whose height is `missing`."""
    *height, width = sizes
    return (height[0] if height else missing), width


def windows(
    op: AveragePool | AdaptiveAveragePool | GlobalAveragePool, size: Pair, out: Pair
) -> tuple[Windows, Windows]:
    """The windows along the height and along the width."""
    first, second = (_along(op, axis, size[axis], out[axis]) for axis in (0, 1))
    return first, second


def _along(
    op: AveragePool | AdaptiveAveragePool | GlobalAveragePool, axis: int, length: int, out: int
) -> Windows:
    if not isinstance(op, AveragePool):  # a global window is an adaptive one, alone
        return tuple((i * length // out, -(-(i + 1) * length // out)) for i in range(out))
    kernel, stride, padding = as_pair(op.kernel), as_pair(op.stride), as_pair(op.padding, 0)
    begins = [i * stride[axis] - padding[axis] for i in range(out)]
    return tuple((max(begin, 0), min(begin + kernel[axis], length)) for begin in begins)
