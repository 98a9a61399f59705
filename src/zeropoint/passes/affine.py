"""What multiplies each channel by a constant and adds another: y = factor x + offset.

batch norm; a product or a sum with a constant tensor; a table of products and sums with numbers
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.value import Shape
from zeropoint.ops import functions
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.mul import Mul
from zeropoint.ops.table import Table


@dataclass(frozen=True)
class Affine:
    """y = factor x + offset, float64: (C,) along `axis` of x, or () where `axis` is None."""

    x: str
    factor: Tensor
    offset: Tensor
    axis: int | None

    def along(self, channels: int) -> tuple[Tensor, Tensor]:
        """Factor and offset for each of so many channels."""
        return self.factor.expand(channels), self.offset.expand(channels)


def affine_of(graph: Graph, node: Node) -> Affine | None:
    """The node as a factor and an offset; None if it is something else."""
    op = node.op
    if isinstance(op, BatchNorm):
        x, *parameters = node.inputs
        return Affine(x, *op.affine(*(graph.constants[name] for name in parameters)), axis=1)
    if isinstance(op, Table):
        line = functions.affine(op.steps)
        if line is None:
            return None
        factor, offset = torch.tensor(line, dtype=torch.float64)
        return Affine(node.inputs[0], factor, offset, axis=None)
    if isinstance(op, Add | Mul) and op.low is None and op.high is None:
        return _with_constant(graph, node, op)
    return None


def _with_constant(graph: Graph, node: Node, op: Add | Mul) -> Affine | None:
    constant = next((name for name in node.inputs if name in graph.constants), None)
    if constant is None:
        return None
    first, second = node.inputs
    x = second if constant == first else first
    shape = graph.values[x].shape
    found = _channels(graph.constants[constant], shape)
    if found is None or graph.values[node.output].shape != shape:
        return None
    axis, numbers = found
    one, zero = torch.ones_like(numbers), torch.zeros_like(numbers)
    if isinstance(op, Mul):
        return Affine(x, numbers, zero, axis)
    if constant == first:
        return Affine(x, op.alpha * one, numbers, axis)
    return Affine(x, one, op.alpha * numbers, axis)


def _channels(constant: Tensor, shape: Shape) -> tuple[int, Tensor] | None:
    """The one axis along which a constant varies, and its numbers there in float64."""
    missing = len(shape) - constant.ndim
    axes = [missing + i for i, size in enumerate(constant.shape) if size > 1]
    if missing < 0 or len(axes) != 1:
        return None
    return axes[0], constant.detach().to(torch.float64).flatten()
