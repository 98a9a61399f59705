"""The integer operators once more, as loops over Python integers: slow, short, and independent.

Results are exact accumulators or codes; `rounded` is equation (3) with fractions, half to even.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, broadcast
from zeropoint.ops.conv import Conv2d


def centred(q: Tensor, params: QParams) -> Tensor:
    """q - z as int64."""
    return q.to(torch.int64) - broadcast(params.zero_point, q.ndim, params.axis)


def conv2d(x: Tensor, weight: Tensor, bias: Sequence[int], op: Conv2d) -> Tensor:
    """Accumulators of centred integers; what lies outside the image is zero."""
    batch, channels, *size = x.shape
    outputs, per_group, *kernel = weight.shape
    out_size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(size, op.padding, op.dilation, kernel, op.stride, strict=True)
    ]
    y = torch.zeros(batch, outputs, *out_size, dtype=torch.int64)
    for n, o, i, j in product(*map(range, y.shape)):
        group = o // (outputs // op.groups)
        total = bias[o]
        for c, r, s in product(range(per_group), *map(range, kernel)):
            row = i * op.stride[0] - op.padding[0] + r * op.dilation[0]
            column = j * op.stride[1] - op.padding[1] + s * op.dilation[1]
            if 0 <= row < size[0] and 0 <= column < size[1]:
                pixel = int(x[n, group * per_group + c, row, column])
                total += pixel * int(weight[o, c, r, s])
        y[n, o, i, j] = total
    assert channels == per_group * op.groups
    return y


def linear(x: Tensor, weight: Tensor, bias: Sequence[int]) -> Tensor:
    """Accumulators of centred integers, (N, I) and (O, I) to (N, O)."""
    rows = [
        [
            b + sum(int(p) * int(q) for p, q in zip(row, neurons, strict=True))
            for neurons, b in zip(weight, bias, strict=True)
        ]
        for row in x
    ]
    return torch.tensor(rows, dtype=torch.int64)


def rounded(real: Fraction, params: QParams, low: int, high: int) -> int:
    """clamp(round(real) + z, low, high) for a number of steps; round is half to even."""
    return min(max(round(real) + int(params.zero_point), low), high)
