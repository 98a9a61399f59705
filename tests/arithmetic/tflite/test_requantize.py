"""FixedPoint("double") beside the kernels it is named after: TFLite's own, to the bit.

Skipped where `ai-edge-litert` is not installed.
"""

import math

import pytest
import torch
from torch import Tensor

from tests.arithmetic.test_fixed_point import edge_values, random_values
from tests.arithmetic.tflite.interpreter import Operand, Operator, run, schema
from zeropoint.arithmetic.fixed_point import Rounding
from zeropoint.arithmetic.integer import INT8, INT32, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import FixedPoint, Grid, Term
from zeropoint.graph.op import Signature
from zeropoint.ops.add import Add
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.quantize import Requantize

TFLITE = FixedPoint("double")
INT16 = IntegerType(16, signed=True)
X, OUT = per_tensor(0.0213, -7, INT8), per_tensor(0.137, 11, INT8)


def integers(*shape: int, seed: int = 0) -> Tensor:
    """Any int8 but -128, which weights leave out."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(-127, 128, shape, generator=random, dtype=torch.int8)


def weights(channels: int, *, seed: int = 1) -> QParams:
    """One scale for each channel."""
    scale = 0.002 + 0.02 * torch.rand(channels, generator=torch.Generator().manual_seed(seed))
    return QParams(scale, torch.zeros(channels, dtype=torch.int32), INT8, axis=0)


def biases(x: QParams, weight: QParams) -> QParams:
    scale = x.scale * weight.scale
    return QParams(scale, torch.zeros_like(scale, dtype=torch.int32), INT32, axis=weight.axis)


def quantize_operator() -> Operator:
    return Operator("QUANTIZE", "QuantizeOptions", schema.QuantizeOptionsT(), 2)


def channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


# --- the product alone ---------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.00031, 0.0101, 0.24999, 0.5, 0.75, 1.0, 3.3, 1000.7])
def test_edge_values_of_int32_become_the_int16_of_tflite(ratio: float) -> None:
    x, out = per_tensor(ratio, 0, INT32), per_tensor(1.0, 0, INT16)
    # Where M >= 1 shifts a value out of int32, TFLite wraps around and FixedPoint saturates.
    left = max(0, math.frexp(ratio)[1])
    values = [v for v in edge_values() + random_values() if -(2**31) <= v << left < 2**31]
    q = torch.tensor(values, dtype=torch.int32).reshape(1, -1)
    theirs = run(quantize_operator(), [Operand(q, x)], q.shape, out)
    multiplier = x.scale.to(torch.float64) / out.scale
    ours = TFLITE.requantize([Term(q, multiplier)], Grid(0, -(2**15), 2**15 - 1))
    assert torch.equal(ours, theirs.to(torch.int32))


@pytest.mark.parametrize("scale", [0.001, 0.0213, 0.05, 0.3])
def test_every_code_moves_to_the_code_of_tflite(scale: float) -> None:
    out = per_tensor(scale, 11, INT8)
    q = torch.arange(-128, 128, dtype=torch.int8).reshape(1, -1)
    theirs = run(quantize_operator(), [Operand(q, X)], q.shape, out)
    assert torch.equal(Requantize().run_integer([q], Signature((X,), out), TFLITE), theirs)


# --- layers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_a_convolution_gives_the_integers_of_tflite(stride: int, dilation: int) -> None:
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = stride
    options.dilationHFactor = options.dilationWFactor = dilation
    x, weight = integers(3, 5, 17, 13), integers(8, 5, 3, 3, seed=2)
    bias = 100 * integers(8, seed=3).to(torch.int32)
    params = weights(8)
    grids = (X, params, biases(X, params))
    op = Conv2d(stride=(stride, stride), dilation=(dilation, dilation))
    ours = op.run_integer((x, weight, bias), Signature(grids, OUT), TFLITE)
    operands = [
        Operand(channels_last(x), X),
        Operand(channels_last(weight), params, constant=True),
        Operand(bias, grids[2], constant=True),
    ]
    operator = Operator("CONV_2D", "Conv2DOptions", options, 3)
    theirs = run(operator, operands, channels_last(ours).shape, OUT)
    assert torch.equal(channels_last(ours), theirs)
    assert len(set(ours.flatten().tolist())) > 200


def test_a_depthwise_convolution_gives_the_integers_of_tflite() -> None:
    options = schema.DepthwiseConv2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = options.depthMultiplier = 1
    options.dilationHFactor = options.dilationWFactor = 1
    x, weight = integers(3, 6, 16, 16), integers(6, 1, 3, 3, seed=2)
    bias = 30 * integers(6, seed=3).to(torch.int32)
    op = Conv2d(padding=(1, 1), groups=6)
    params = weights(6)
    last = QParams(params.scale, params.zero_point, INT8, axis=3)
    grids = (X, params, biases(X, params))
    ours = op.run_integer((x, weight, bias), Signature(grids, OUT), TFLITE)
    operands = [
        Operand(channels_last(x), X),
        Operand(weight.permute(1, 2, 3, 0).contiguous(), last, constant=True),
        Operand(bias, grids[2], constant=True),
    ]
    operator = Operator("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", options, 3)
    theirs = run(operator, operands, channels_last(ours).shape, OUT)
    assert torch.equal(channels_last(ours), theirs)


def linear(rounding: Rounding) -> tuple[Tensor, Tensor]:
    """120,000 results of ours and of TFLite's."""
    x, weight = integers(4000, 40), integers(30, 40, seed=2)
    bias = 100 * integers(30, seed=3).to(torch.int32)
    params = per_tensor(0.0123, 0, INT8)
    grids = (X, params, biases(X, params))
    ours = Linear().run_integer((x, weight, bias), Signature(grids, OUT), FixedPoint(rounding))
    operands = [
        Operand(x, X),
        Operand(weight, params, constant=True),
        Operand(bias, grids[2], constant=True),
    ]
    operator = Operator(
        "FULLY_CONNECTED", "FullyConnectedOptions", schema.FullyConnectedOptionsT(), 4
    )
    return ours, run(operator, operands, ours.shape, OUT)


def test_a_linear_layer_is_rounded_once_by_tflite_too() -> None:
    # Its ties, of which these scales have none, go away from zero: neither profile's rule.
    ours, theirs = linear("single")
    assert torch.equal(ours, theirs)


def test_a_linear_layer_rounded_twice_is_rarely_one_step_from_tflite() -> None:
    ours, theirs = linear("double")
    distance = (ours.to(torch.int32) - theirs.to(torch.int32)).abs()
    assert distance.max() <= 1
    assert 0 < distance.count_nonzero() <= 240  # 2 in 1,000


# --- sums: another algorithm ---------------------------------------------------------------------


def test_a_sum_is_rounded_from_more_bits_than_in_tflite_and_differs_rarely_by_one_step() -> None:
    # TFLite scales both terms by 2^20 and rounds three times; equation (3') rounds once.
    b = per_tensor(0.0371, 19, INT8)
    p, q = integers(1, 100_000), integers(1, 100_000, seed=1)
    ours = Add().run_integer((p, q), Signature((X, b), OUT), TFLITE)
    options = schema.AddOptionsT()
    options.potScaleInt16 = False
    operator = Operator("ADD", "AddOptions", options, 2)
    theirs = run(operator, [Operand(p, X), Operand(q, b)], p.shape, OUT)
    distance = (ours.to(torch.int32) - theirs.to(torch.int32)).abs()
    assert distance.max() <= 1
    assert distance.count_nonzero() <= 100  # 1 in 1,000
