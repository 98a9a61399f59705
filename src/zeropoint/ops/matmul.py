"""Products of two computed matrices, as in attention.

    float     y = a b
    integer   q_y = clamp(round(M sum (q_a - z_a)(q_b - z_b)) + z_y)        M = s_a s_b / s_y

Both factors are activations with a zero point. With an int32 output the accumulator itself is the
result, at scale s_a s_b: what a softmax reads. A factor that is a constant matrix makes it a linear
layer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import INT32
from zeropoint.arithmetic.requantize import Arithmetic, Term
from zeropoint.arithmetic.requantize import Grid as Result
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import UNKNOWN, Plain, Shape, Value
from zeropoint.ops.accumulate import as_int32, centred
from zeropoint.ops.linear import linear
from zeropoint.ops.permute import permute, transpose_last
from zeropoint.ops.shape import flatten, squeeze, unsqueeze


@dataclass(frozen=True)
class MatMul(IntegerOp):
    """a (..., M, K) and b (..., K, N), whose other dimensions broadcast."""

    name: ClassVar[str] = "matmul"
    grid: ClassVar[Grid] = Grid.OWN

    def roles(self, count: int) -> tuple[Role, ...]:
        """Two activations."""
        return (Role.ACTIVATION, Role.ACTIVATION)

    def run(self, a: Tensor, b: Tensor) -> Tensor:
        """The float form."""
        return torch.matmul(a, b)

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form."""
        a, b = (centred(q, p) for q, p in zip(inputs, signature.inputs, strict=True))
        accumulator, out = as_int32(torch.matmul(a, b)), signature.output
        if out.type == INT32:
            return accumulator
        first, second = (params.scale.to(torch.float64) for params in signature.inputs)
        grid = Result(int(out.zero_point.item()), out.low, out.high)
        term = Term(accumulator, first * second / out.scale)
        return arithmetic.requantize([term], grid).to(out.type.storage)


def matmul(to: Builder, shape: Shape, a: Value, b: Value) -> Value | str:
    """Capture of aten.matmul, bmm and mm."""
    if not all(isinstance(v.type, Plain) and v.type.dtype.is_floating_point for v in (a, b)):
        return "it multiplies integers"
    if min(len(a.shape), len(b.shape)) < 2:
        return "one of its operands is a vector"
    weight = to.tensor(b)
    if weight is not None and weight.ndim == 2:
        rows = to.constant(f"{b.name}.rows", weight.T.contiguous())
        return linear(to, shape, a, rows)
    return to.emit(MatMul(), a, b, shape=shape)


def linear_of_any(
    to: Builder, shape: Shape, x: Value, weight: Value, bias: Value | None = None
) -> Value | str:
    """Capture of aten.linear: with a computed weight and no bias it is a product of matrices."""
    if to.tensor(weight) is not None or bias is not None or len(x.shape) < 2:
        return linear(to, shape, x, weight, bias)
    turned = transpose_last(to, tuple(reversed(weight.shape)), weight)
    return matmul(to, shape, x, turned)


def addmm(
    to: Builder, shape: Shape, bias: Value, a: Value, b: Value, beta: float = 1, alpha: float = 1
) -> Value | str:
    """Capture of aten.addmm: a linear layer, if the matrix and the bias are constants."""
    weight, offset = to.tensor(b), to.tensor(bias)
    if weight is None or offset is None or offset.ndim != 1 or (beta, alpha) != (1, 1):
        return "it is no linear layer: a factor or an offset is computed, or scaled"
    rows = to.constant(f"{b.name}.rows", weight.T.contiguous())
    return linear(to, shape, a, rows, bias)


def einsum(
    to: Builder, shape: Shape, equation: str, operands: Sequence[Value], path: object = None
) -> Value | str:
    """Capture of an einsum that is a product of matrices.

    In "bhqd,bhkd->bhqk" b and h are common, d is summed over, q and k are rows and columns.
    """
    names, arrow, written = equation.replace(" ", "").partition("->")
    first, _, second = names.partition(",")
    letters = set(first + second)
    common = [c for c in first if c in second and c in written]
    summed = [c for c in first if c in second and c not in written]
    rows = [c for c in first if c not in second]
    columns = [c for c in second if c not in first]
    once = all(len(set(word)) == len(word) for word in (first, second, written))
    kept = {*common, *rows, *columns} == set(written)
    is_product = once and kept and arrow and summed and len(rows) < 2 and len(columns) < 2
    if not is_product or not "".join(letters).isalpha():
        return f"einsum({equation!r}) is no product of two matrices"
    a, b = operands
    sizes = dict(zip(first + second, a.shape + b.shape, strict=True))
    left = _matrix(to, a, first, [common, rows, summed], sizes)
    right = _matrix(to, b, second, [common, summed, columns], sizes)
    whole = (*left.shape[:-1], right.shape[-1])
    product = matmul(to, whole, left, right)
    if isinstance(product, str):
        return product
    ones = [len(common) + place for place, group in enumerate((rows, columns)) if not group]
    found = [*common, *rows, *columns]
    flat = squeeze(to, tuple(sizes[c] for c in found), product, ones) if ones else product
    return permute(to, shape, flat, [found.index(c) for c in written])


def _matrix(
    to: Builder,
    x: Value,
    letters: str,
    groups: Sequence[Sequence[str]],
    sizes: Mapping[str, int | str],
) -> Value:
    """x as (*common, m, n): of `groups` the first stays, each other becomes one dimension."""
    order = [c for group in groups for c in group]
    y = permute(to, tuple(sizes[c] for c in order), x, [letters.index(c) for c in order])
    axis = len(groups[0])
    for group in groups[1:]:
        before, after = y.shape[:axis], y.shape[axis + len(group) :]
        if not group:
            y = unsqueeze(to, (*before, 1, *after), y, axis)
        elif len(group) > 1:
            extent = _product([sizes[c] for c in group])
            y = flatten(to, (*before, extent, *after), y, axis, axis + len(group) - 1)
        axis += 1
    return y


def _product(sizes: Sequence[int | str]) -> int | str:
    known = [size for size in sizes if isinstance(size, int)]
    return prod(known) if len(known) == len(sizes) else UNKNOWN


OPS = (MatMul,)
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.matmul.default": matmul,
    "aten.bmm.default": matmul,
    "aten.mm.default": matmul,
    "aten.linear.default": linear_of_any,
    "aten.addmm.default": addmm,
    "aten.einsum.default": einsum,
}
