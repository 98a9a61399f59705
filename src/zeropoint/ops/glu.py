"""GLU: one half of the channels gates the other.

    y = a sigmoid(b)        a and b: the two halves of x along an axis

Two slices, a table and a product: no operator of its own is needed.
"""

from collections.abc import Callable

from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.mul import Mul
from zeropoint.ops.slice import END, Slice
from zeropoint.ops.table import Table, is_real


def glu(to: Builder, shape: Shape, x: Value, axis: int = -1) -> Value | str:
    """Capture of aten.glu."""
    axis %= len(shape)
    half = shape[axis]
    if not isinstance(half, int):
        return "only the run knows how long its halves are"
    if not is_real(x):
        return "it computes with integers"
    name = to.hint
    a = to.emit(Slice(axis, 0, half), x, shape=shape, name=f"{name}.gated")
    b = to.emit(Slice(axis, half, END), x, shape=shape, name=f"{name}.gate")
    gate = to.emit(Table((("sigmoid", "x"),)), b, shape=shape, name=f"{name}.sigmoid")
    return to.emit(Mul(), a, gate, shape=shape)


OPS: tuple[type[Op], ...] = ()
CAPTURES: dict[str, Callable[..., Value | str]] = {"aten.glu.default": glu}
