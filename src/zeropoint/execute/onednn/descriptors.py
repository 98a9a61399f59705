"""Memory descriptors: where the elements of a tensor lie, and what they are."""

from collections.abc import Sequence
from ctypes import c_int64
from typing import Any

from zeropoint.execute.onednn.library import Handle, Library

F32, S32, S8, U8 = 3, 4, 5, 6
ANY = 1


def c_array(sizes: Sequence[int]) -> Any:  # ctypes has no name for an array of any length
    """int64 numbers as C wants them."""
    return (c_int64 * len(sizes))(*sizes)


def row_major(shape: Sequence[int]) -> list[int]:
    """The strides of a contiguous tensor."""
    strides = [1]
    for size in reversed(shape[1:]):
        strides.insert(0, strides[0] * size)
    return strides


def strided(library: Library, sizes: Sequence[int], strides: Sequence[int], type: int) -> Handle:
    """Elements at these strides."""
    return library.create(
        "memory_desc",
        len(sizes),
        c_array(sizes),
        type,
        c_array(strides),
        by="memory_desc_create_with_strides",
    )


def images(library: Library, shape: tuple[int, ...], type: int) -> Handle:
    """(N, C, ...) in channels_last."""
    strides, step = [0] * len(shape), shape[1]
    strides[1] = 1
    for axis in (*range(len(shape) - 1, 1, -1), 0):
        strides[axis], step = step, step * shape[axis]
    return strided(library, shape, strides, type)


def vector(library: Library, length: int, type: int) -> Handle:
    """One dimension."""
    return strided(library, [length], [1], type)


def one_row(library: Library, length: int) -> Handle:
    """float32 (1, length)."""
    return strided(library, [1, length], [length, 1], F32)


def any_layout(library: Library, sizes: Sequence[int]) -> Handle:
    """int8 weights in whatever layout the primitive likes best."""
    return library.create(
        "memory_desc", len(sizes), c_array(sizes), S8, ANY, by="memory_desc_create_with_tag"
    )
