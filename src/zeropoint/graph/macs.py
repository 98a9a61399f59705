"""Multiply-accumulates of each node, counted by formulas while the graph runs once.

Most formulas are torch's own (torch.utils.flop_counter). Here are those for which it has none: the
recurrent layers and the attention of a CPU, products with vectors, and sampling from images.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.walk import walk

Shape = Sequence[int]
Formula = Callable[..., int]
"""Shapes in the place of tensors, and out_shape, to floating-point operations: 2 for each MAC."""


def count_macs(graph: Graph, inputs: Sequence[Tensor]) -> dict[str, int]:
    """Multiply-accumulates by the output of each node that has any."""
    macs: dict[str, int] = {}

    def counted(node: Node, operands: Sequence[Any]) -> Any:
        with FlopCounterMode(display=False, custom_mapping=dict(FORMULAS)) as counter:
            result = node.op.run(*operands)
        if counter.get_total_flops():
            macs[node.output] = counter.get_total_flops() // 2
        return result

    with torch.no_grad():
        walk(graph, inputs, kernel=counted)
    return macs


def _recurrent(x: Shape, w_x: Shape, w_h: Shape, *rest: Any, **options: Any) -> int:
    """One layer in one direction; two matrices are multiplied at each step."""
    return 2 * prod(x[:-1]) * (prod(w_x) + prod(w_h))


def _attention(query: Shape, key: Shape, value: Shape, *rest: Any, **options: Any) -> int:
    """(..., L, E), (..., S, E) and (..., S, V): scores, then weighted sums."""
    macs = prod(query[:-1]) * int(key[-2]) * int(query[-1] + value[-1])
    return 2 * macs


def _matrix_vector(matrix: Shape, *rest: Any, **options: Any) -> int:
    return 2 * prod(matrix)


def _added_matrix_vector(start: Shape, matrix: Shape, *rest: Any, **options: Any) -> int:
    return 2 * prod(matrix)


def _added_products(start: Shape, a: Shape, b: Shape, *rest: Any, **options: Any) -> int:
    """Products of (B, M, K) and (B, K, N), summed."""
    return 2 * prod(a) * b[-1]


def _time_first(x: Shape, weight: Shape, *rest: Any, out_shape: Shape, **options: Any) -> int:
    """conv_tbc: a result (T, B, O), weights (K, I, O)."""
    return 2 * prod(out_shape) * weight[0] * weight[1]


def _sampled(x: Shape, grid: Shape, *rest: Any, out_shape: Shape, **options: Any) -> int:
    """Each element of the result is a sum over the 2^d elements around a point."""
    return prod(out_shape) << (len(x) - 1)


def _bilinear(a: Shape, b: Shape, c: Shape, *rest: Any, **options: Any) -> int:
    """nn.Bilinear: a (N, I), weights (O, I, J), c (N, J)."""
    return 2 * prod(a[:-1]) * prod(b)


FORMULAS: Mapping[Any, Formula] = {  # by packets of torch's operators
    torch.ops.aten.mkldnn_rnn_layer: _recurrent,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten.mv: _matrix_vector,
    torch.ops.aten.dot: _matrix_vector,
    torch.ops.aten.vdot: _matrix_vector,
    torch.ops.aten.addmv: _added_matrix_vector,
    torch.ops.aten.addbmm: _added_products,
    torch.ops.aten.conv_tbc: _time_first,
    torch.ops.aten.grid_sampler_2d: _sampled,
    torch.ops.aten.grid_sampler_3d: _sampled,
    torch.ops.aten._trilinear: _bilinear,
}
