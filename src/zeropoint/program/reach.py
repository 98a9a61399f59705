"""How far the sums of an integer operator can get, for every input there is.

    |acc| <= n each         n summands, or n parts of one; none is greater than `each`

    convolution, linear     from the actual weights: arithmetic/bounds.py
    product of matrices     n is the inner size, `each` a product of two differences q - z
    mean, sum, average      n elements of a window or of an image
    interpolation           n parts, which stand for one element
    product                 n = 1
    addition, tables, and   n = 1, and `each` one difference q - z: terms are scaled first, and
    what moves codes        added as real numbers, or in fixed point, which saturates

Where n depends on the size of the image, the bound holds up to some n: `most`. Every integer
operator is listed here; one that is not is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from zeropoint.arithmetic.integer import INT32
from zeropoint.arithmetic.qparams import QParams
from zeropoint.errors import ProgramError
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.value import Shape
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Convolution
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.movement import Movement
from zeropoint.ops.mul import Mul
from zeropoint.ops.pad import Pad, PadWith
from zeropoint.ops.pool import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    GlobalAveragePool,
    MaxPool,
    longest_window,
)
from zeropoint.ops.quantize import Requantize
from zeropoint.ops.reduce import Mean, Sum
from zeropoint.ops.steps import farthest
from zeropoint.ops.table import Table
from zeropoint.ops.upsample import MOST_PARTS, Interpolate, most_parts


@dataclass(frozen=True)
class Count:
    """So many summands: `known` times the sizes in `free`, which only a run knows."""

    known: int = 1
    free: tuple[str, ...] = ()

    def __str__(self) -> str:
        factors = [f"{self.known:,}"] if self.known != 1 or not self.free else []
        return " x ".join([*factors, *(f"({f})" if not f.isalnum() else f for f in self.free)])


@dataclass(frozen=True)
class Reach:
    """A sum of `count` summands, none of which is greater than `each`.

    `accumulates` is False where codes are only moved, compared or scaled.
    """

    each: int
    count: Count = Count()
    accumulates: bool = True

    @property
    def most(self) -> int:
        """With so many summands no sum can leave int32."""
        return (2**31 - 1) // max(self.each, 1)

    @property
    def largest(self) -> int | None:
        """The greatest magnitude of a sum; None where it depends on the size of the image."""
        return None if self.count.free else self.count.known * self.each


def reach_of(graph: Graph, node: Node) -> Reach | None:
    """The reach of an integer node; None for one with weights, whose bounds are finer."""
    for kind in type(node.op).__mro__:
        if kind in REACHES:
            return REACHES[kind](graph, node)
    raise ProgramError(f"{node.output}: nobody knows how far the sums of {node.op.name} can get")


def check_reach(graph: Graph, node: Node) -> None:
    """ProgramError if a sum can leave int32, as far as its length is known."""
    reach = reach_of(graph, node)
    if reach is not None and reach.largest is not None and reach.largest >= 2**31:
        raise ProgramError(
            f"{node.output}: {node.op.name} adds {reach.count} integers, which can reach "
            f"{reach.largest:,}, beyond int32; keep that layer float"
        )


def _farthest(params: QParams) -> int:
    """The greatest |q - z| of a grid; an accumulator that is only moved fills int32."""
    return 2**31 - 1 if params.type == INT32 else farthest(params)


def _grids(graph: Graph, node: Node) -> list[int]:
    params = (graph.values[name].params for name in node.inputs)
    return [_farthest(one) for one in params if one is not None]


def _shape(graph: Graph, node: Node) -> Shape:
    return graph.values[node.inputs[0]].shape


def _counted(sizes: Sequence[int | str]) -> Count:
    known = prod(size for size in sizes if isinstance(size, int))
    return Count(known, tuple(size for size in sizes if not isinstance(size, int)))


def _by_weights(graph: Graph, node: Node) -> None:
    return None


def _one(graph: Graph, node: Node) -> Reach:
    return Reach(max(_grids(graph, node)), accumulates=False)


def _product(graph: Graph, node: Node) -> Reach:
    return Reach(prod(_grids(graph, node)))


def _matmul(graph: Graph, node: Node) -> Reach:
    return Reach(prod(_grids(graph, node)), _counted(_shape(graph, node)[-1:]))


def _over_axes(graph: Graph, node: Node) -> Reach:
    op, shape = node.op, _shape(graph, node)
    assert isinstance(op, Mean | Sum | GlobalAveragePool)  # the mapping says so
    axes = (2, 3) if isinstance(op, GlobalAveragePool) else op.axes
    return Reach(_grids(graph, node)[0], _counted([shape[axis] for axis in axes]))


def _window(graph: Graph, node: Node) -> Reach:
    assert isinstance(node.op, AveragePool)  # the mapping says so
    return Reach(_grids(graph, node)[0], Count(prod(node.op.kernel)))


def _adaptive(graph: Graph, node: Node) -> Reach:
    """Windows of an image whose size is not known are at most as long as the image."""
    assert isinstance(node.op, AdaptiveAveragePool)  # the mapping says so
    sizes = zip(_shape(graph, node)[2:], node.op.size, strict=True)
    longest = [longest_window(length, wanted) for length, wanted in sizes]
    return Reach(_grids(graph, node)[0], _counted(longest))


def _interpolated(graph: Graph, node: Node) -> Reach:
    assert isinstance(node.op, Interpolate)  # the mapping says so
    (each, *_), parts = _grids(graph, node), most_parts(node.op, _shape(graph, node)[2:])
    if parts is not None:
        return Reach(each, Count(parts))
    return Reach(each, Count(MOST_PARTS) if each * MOST_PARTS < 2**31 else Count(1, ("parts",)))


REACHES: Mapping[Any, Callable[[Graph, Node], Reach | None]] = {  # by classes, abstract ones too
    Convolution: _by_weights,
    Linear: _by_weights,
    MatMul: _matmul,
    Mul: _product,
    Mean: _over_axes,
    Sum: _over_axes,
    GlobalAveragePool: _over_axes,
    AveragePool: _window,
    AdaptiveAveragePool: _adaptive,
    Interpolate: _interpolated,
    Add: _one,
    AdaptiveMaxPool: _one,
    Clamp: _one,
    Concat: _one,
    Maximum: _one,
    MaxPool: _one,
    Minimum: _one,
    Movement: _one,
    Pad: _one,
    PadWith: _one,
    Requantize: _one,
    Table: _one,
}
