"""A transposed convolution as a convolution, for groups and dilations that have no fast kernel.

x with s - 1 zeros between its elements and d (k - 1) - p around them, by the weight turned around
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from zeropoint.execute.onednn.layout import empty
from zeropoint.graph.graph import Node
from zeropoint.ops.conv import CONVS, Conv
from zeropoint.ops.conv_transpose import ConvTranspose
from zeropoint.program.program import Program


def as_convolution(program: Program, node: Node, op: ConvTranspose) -> tuple[Program, Node, Conv]:
    """A program in which the node is an ordinary convolution of what `spread` makes of its x."""
    name, rank = node.inputs[1], len(op.stride)
    conv = CONVS[rank](
        dilation=op.dilation, groups=op.groups, low=op.low, high=op.high, function=op.function
    )
    turned = program.graph.constants[name].flip(tuple(range(2, rank + 2)))
    constants = {**program.graph.constants, name: turned}
    graph = replace(program.graph, constants=constants)
    return replace(program, graph=graph), replace(node, op=conv), conv


def spread(
    op: ConvTranspose, kernel: tuple[int, ...], zero_point: int, by: Callable[..., Any]
) -> Callable[[Tensor], Any]:
    """The kernel of the convolution, called with x as it is."""
    before = [d * (k - 1) - p for d, k, p in zip(op.dilation, kernel, op.padding, strict=True)]
    after = [room + more for room, more in zip(before, op.output_padding, strict=True)]

    def apart(x: Tensor) -> Tensor:
        extents = [(n - 1) * s + 1 for n, s in zip(x.shape[2:], op.stride, strict=True)]
        sizes = [n + max(b, 0) + max(a, 0) for n, b, a in zip(extents, before, after, strict=True)]
        y = empty((*x.shape[:2], *sizes), x.dtype).fill_(zero_point)
        places = tuple(
            slice(max(b, 0), max(b, 0) + n, s)
            for b, n, s in zip(before, extents, op.stride, strict=True)
        )
        y[(slice(None), slice(None), *places)] = x
        # More padding than the window reaches leaves elements out.
        kept = tuple(
            slice(max(-b, 0), n - max(-a, 0)) for b, a, n in zip(before, after, sizes, strict=True)
        )
        return y[(slice(None), slice(None), *kept)]

    return lambda x: by(apart(x))
