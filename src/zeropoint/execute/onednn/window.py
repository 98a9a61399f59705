"""How a window moves over an image, and the extents that follow."""

from collections.abc import Sequence
from dataclasses import dataclass

from zeropoint.execute.onednn.defects import too_small


@dataclass(frozen=True)
class Window:
    """How a convolution moves over an image; with an `output_padding`, the transposed kind."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int
    output_padding: Sequence[int] | None = None


def windows(sizes: Sequence[int], kernel: Sequence[int], w: Window) -> list[int]:
    """How many windows fit along each dimension; EngineError if none does."""
    counts = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(sizes, w.padding, w.dilation, kernel, w.stride, strict=True)
    ]
    if min(counts) < 1:
        raise too_small(sizes, kernel)
    return counts


def spread(sizes: Sequence[int], kernel: Sequence[int], w: Window) -> list[int]:
    """The extents of a transposed convolution's result; EngineError if nothing is left of it."""
    assert w.output_padding is not None  # the caller checks
    counts = [
        (n - 1) * s - 2 * p + d * (k - 1) + more + 1
        for n, s, p, d, k, more in zip(
            sizes, w.stride, w.padding, w.dilation, kernel, w.output_padding, strict=True
        )
    ]
    if min(counts) < 1:
        raise too_small(sizes, kernel)
    return counts


def padding_after(
    sizes: Sequence[int], windows: Sequence[int], kernel: Sequence[int], w: Window
) -> list[int]:
    """How far the last window of each dimension reaches beyond the image."""
    return [
        (m - 1) * s + d * (k - 1) + 1 - n - p
        for n, m, k, s, p, d in zip(
            sizes, windows, kernel, w.stride, w.padding, w.dilation, strict=True
        )
    ]
