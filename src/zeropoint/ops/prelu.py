"""PReLU: a slope below zero, learned for all channels or for each.

    one slope       y = x or slope x: a table
    one a channel   y = x + (slope_c - 1) min(x, 0)

The second is a clamp, a product with constants and a sum; passes make one depthwise convolution of
the product, with the sum in it. No operator of its own is needed.
"""

from collections.abc import Callable

import torch

from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.mul import Mul
from zeropoint.ops.table import number_of, tabulated


def prelu(to: Builder, shape: Shape, x: Value, slope: Value) -> Value | str:
    """Capture of aten.prelu; channels are axis 1."""
    number, slopes = number_of(to, slope), to.tensor(slope)
    if number is not None:
        return tabulated(to, shape, x, ("leaky_relu", "x", number))
    if slopes is None:
        return "its slopes are computed at run time"
    less = (slopes.to(torch.float64) - 1).to(slopes.dtype)
    along = to.constant(f"{slope.name}.less", less.reshape(-1, *[1] * (len(shape) - 2)))
    name = to.hint
    below = to.emit(Clamp(None, 0.0), x, shape=shape, name=f"{name}.below")
    scaled = to.emit(Mul(), below, along, shape=shape, name=f"{name}.scaled")
    return to.emit(Add(), scaled, x, shape=shape)


OPS: tuple[type[Op], ...] = ()
CAPTURES: dict[str, Callable[..., Value | str]] = {"aten.prelu.default": prelu}
