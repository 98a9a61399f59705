"""Linear layers in OpenVINO.

    no zero point    MatMul, Add
    a zero point     Reshape, Convolution 1x1, Add, FakeQuantize, Reshape

A MatMul takes the zero point's share off in float32, a convolution in integers. What the
convolution makes is rounded, or settled, while it is an image still: see `movement.settled`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zeropoint.export.openvino.forms import clamped, column, has_zero_point
from zeropoint.export.openvino.functions import applied
from zeropoint.export.openvino.grids import fake_quantize
from zeropoint.export.openvino.movement import extents, is_accumulator, settled
from zeropoint.graph.value import Value
from zeropoint.ops.linear import Linear

DISTINCT = np.float32(1e-30)
"""Far below a step of any accumulator."""

Output = Any  # an openvino.Output: the package is optional and its types are generated


def linear(
    op: Linear, operands: Sequence[Output], values: Sequence[Value], result: Value
) -> Output:
    """The layer with its function and its bounds, on the grid of its result."""
    from openvino import opset14 as ops

    x, weight, bias = operands
    # The plugin drops a bias that is alike for all channels, and then takes two linear layers in a
    # row for a perceptron of float32, whose result is wrong.
    distinct = DISTINCT * np.arange(int(values[1].shape[0]), dtype=np.float32)
    bias = ops.add(bias, ops.constant(distinct))
    if has_zero_point(values[0]):
        return _by_convolution(op, (x, weight, bias), values, result)
    return _finished(op, ops.add(ops.matmul(x, weight, False, True), bias), result)


def _finished(op: Linear, y: Output, result: Value) -> Output:
    y = clamped(applied(op.function, y), op.low, op.high)
    if result.params is None or is_accumulator(result):
        return y
    return fake_quantize(y, result.params)


def _by_convolution(
    op: Linear, operands: Sequence[Output], values: Sequence[Value], result: Value
) -> Output:
    """Rows as images of one pixel, and back."""
    from openvino import opset14 as ops

    x, weight, bias = operands
    outputs, features = (int(n) for n in values[1].shape)
    pixels = ops.reshape(x, np.array([-1, features, 1, 1]), False)
    kernel = ops.reshape(weight, np.array([outputs, features, 1, 1]), False)
    y = ops.convolution(pixels, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    y = _finished(op, ops.add(y, column(bias, 2)), result)
    before = extents(ops.shape_of(x), 0, len(values[0].shape) - 1)
    size = ops.concat([before, ops.constant(np.array([outputs]))], 0)
    return ops.reshape(settled(y) if is_accumulator(result) else y, size, False)
