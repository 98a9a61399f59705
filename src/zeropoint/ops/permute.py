"""The dimensions in another order, however it is spelled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from zeropoint.graph.build import Builder
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.movement import Movement


@dataclass(frozen=True)
class Permute(Movement):
    """Dimension i of the result is dimension `order[i]` of x; memory stays where it is."""

    name: ClassVar[str] = "permute"

    order: tuple[int, ...]

    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""
        return x.permute(self.order)


def permute(to: Builder, shape: Shape, x: Value, order: Sequence[int]) -> Value:
    """Capture of aten.permute; x itself where nothing changes places."""
    rank = len(x.shape)
    places = tuple(axis % rank for axis in order)
    return x if places == tuple(range(rank)) else to.emit(Permute(places), x, shape=shape)


def transpose(to: Builder, shape: Shape, x: Value, first: int, second: int) -> Value:
    """Capture of aten.transpose and aten.swapaxes."""
    order = list(range(len(x.shape)))
    order[first], order[second] = order[second], order[first]
    return permute(to, shape, x, order)


def transpose_last(to: Builder, shape: Shape, x: Value) -> Value:
    """Capture of .mT, .mH and adjoint()."""
    return transpose(to, shape, x, -2, -1)


def reverse(to: Builder, shape: Shape, x: Value) -> Value:
    """Capture of .T, .H and t()."""
    return permute(to, shape, x, tuple(reversed(range(len(x.shape)))))


def movedim(
    to: Builder,
    shape: Shape,
    x: Value,
    sources: int | Sequence[int],
    targets: int | Sequence[int],
) -> Value:
    """Capture of aten.movedim and aten.moveaxis."""
    rank = len(x.shape)
    moved = [axis % rank for axis in ([sources] if isinstance(sources, int) else sources)]
    places = [axis % rank for axis in ([targets] if isinstance(targets, int) else targets)]
    order = [axis for axis in range(rank) if axis not in moved]
    for place, axis in sorted(zip(places, moved, strict=True)):
        order.insert(place, axis)
    return permute(to, shape, x, order)


OPS = (Permute,)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.permute.default": permute,
    "aten.transpose.int": transpose,
    "aten.swapaxes.default": transpose,
    "aten.swapdims.default": transpose,
    "aten.mT.default": transpose_last,
    "aten.mH.default": transpose_last,
    "aten.adjoint.default": transpose_last,
    "aten.numpy_T.default": reverse,
    "aten.matrix_H.default": reverse,
    "aten.t.default": reverse,
    "aten.movedim.int": movedim,
    "aten.movedim.intlist": movedim,
    "aten.moveaxis.int": movedim,
    "aten.moveaxis.intlist": movedim,
}
