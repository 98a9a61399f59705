"""Equation (1) in OpenVINO: FakeQuantize, and constants that are scaled by the graph.

    x --> FakeQuantize            Constant i8 --> Convert --> Multiply

The CPU plugin makes integers of grids with 256 levels only. A narrower grid is therefore written
twice: with its own levels, which round and saturate, and with 256, which change nothing.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.graph.value import Value

Output = Any  # an openvino.Output: the package is optional and its types are generated


def fake_quantize(x: Output, params: QParams) -> Output:
    """To the grid and back."""
    low, high = levels_of(params)
    if (params.low, params.high) != (low, high):
        x = _rounded(x, params, params.low, params.high)
    return _rounded(x, params, low, high)


def _rounded(x: Output, params: QParams, low: int, high: int) -> Output:
    from openvino import opset14 as ops

    ends = np.float32(real(low, params)), np.float32(real(high, params))
    return ops.fake_quantize(x, *ends, *ends, high - low + 1)


def levels_of(params: QParams) -> tuple[int, int]:
    """The ends of the integers' type: more than the grid has, where it has fewer bits."""
    if params.type.bits > 8:
        return params.low, params.high
    ends = torch.iinfo(params.type.storage)
    return int(ends.min), int(ends.max)


def real(code: float, params: QParams) -> float:
    """What a code stands for, in float32."""
    return float(np.float32(params.scale.item()) * np.float32(code - int(params.zero_point)))


def constant(value: Value, tensor: Tensor) -> Output:
    """A constant; integers as integers, converted and scaled by the graph, as NNCF writes them."""
    from openvino import opset14 as ops

    if value.params is None:
        return ops.constant(tensor.detach().numpy())
    params = value.params
    shape = [-1 if axis == params.axis else 1 for axis in range(tensor.ndim)]
    scale = params.scale.reshape(shape if params.scale.ndim else []).numpy()
    if params.type.bits == 32:  # a bias: the real number itself
        return ops.constant((tensor.double() * params.scale.double()).float().numpy())
    converted = ops.convert(ops.constant(tensor.numpy()), np.float32)
    if bool(params.zero_point.any()):
        offset = params.zero_point.reshape(shape if params.scale.ndim else [])
        converted = ops.subtract(converted, ops.constant(offset.numpy().astype(np.float32)))
    return ops.multiply(converted, ops.constant(scale))
