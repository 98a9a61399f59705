"""Where the windows of average pooling begin and end, cut to the image."""

from zeropoint.ops.pool import AdaptiveAveragePool2d, AveragePool2d, GlobalAveragePool

Pair = tuple[int, int]
Windows = tuple[Pair, ...]
"""[begin, end) for each output row or column."""


def windows(
    op: AveragePool2d | AdaptiveAveragePool2d | GlobalAveragePool, size: Pair, out: Pair
) -> tuple[Windows, Windows]:
    """The windows along the height and along the width."""
    first, second = (_along(op, axis, size[axis], out[axis]) for axis in (0, 1))
    return first, second


def _along(
    op: AveragePool2d | AdaptiveAveragePool2d | GlobalAveragePool, axis: int, length: int, out: int
) -> Windows:
    if not isinstance(op, AveragePool2d):  # a global window is an adaptive one, alone
        return tuple((i * length // out, -(-(i + 1) * length // out)) for i in range(out))
    begins = [i * op.stride[axis] - op.padding[axis] for i in range(out)]
    return tuple((max(begin, 0), min(begin + op.kernel[axis], length)) for begin in begins)
