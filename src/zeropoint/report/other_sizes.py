"""A batch in other sizes: what else a program, or a file of it, will be called with."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from zeropoint.batches import Inputs
from zeropoint.graph.value import Shape
from zeropoint.program.program import Program

BATCHES = (1, 2, 3, 7)
"""One sample, a few, and odd numbers of them, as a last batch has."""

IMAGES: tuple[Callable[[int], int], ...] = (
    lambda n: 2 * n,
    lambda n: max(n // 2, 1),
    lambda n: n + 1,
)
"""Networks that halve images take the first two if they take anything."""


def other_sizes(program: Program, inputs: Inputs) -> Iterator[Inputs]:
    """The same numbers, repeated or cut, in every other size that the program's shapes allow.

    A network may refuse some of them still: shapes do not tell all that it needs.
    """
    shapes = [program.graph.values[name].shape for name in program.graph.inputs]
    if all(shape and not isinstance(shape[0], int) for shape in shapes):
        for count in BATCHES:
            if count != len(inputs[0]):
                yield _resized(inputs, shapes, partial(_batch_of, count))
    one = tuple(x[:1] if _is_free(shape, 0) else x for x, shape in zip(inputs, shapes, strict=True))
    if any(_is_free(shape, axis) for shape in shapes for axis in range(1, len(shape))):
        for change in IMAGES:
            yield _resized(one, shapes, partial(_images_of, change))


def shapes_of(inputs: Inputs) -> str:
    """Shapes for a sentence."""
    return ", ".join(str(tuple(x.shape)) for x in inputs)


def _batch_of(count: int, axis: int, n: int) -> int:
    return n if axis else count


def _images_of(change: Callable[[int], int], axis: int, n: int) -> int:
    return change(n) if axis else n


def _is_free(shape: Shape, axis: int) -> bool:
    return axis < len(shape) and not isinstance(shape[axis], int)


def _resized(
    inputs: Inputs, shapes: list[Shape], size: Callable[[int, int], int]
) -> tuple[Tensor, ...]:
    return tuple(_one_resized(x, shape, size) for x, shape in zip(inputs, shapes, strict=True))


def _one_resized(x: Tensor, shape: Shape, size: Callable[[int, int], int]) -> Tensor:
    for axis in range(x.ndim):
        if _is_free(shape, axis):
            places = torch.arange(size(axis, x.shape[axis])) % x.shape[axis]
            x = x.index_select(axis, places)
    return x
