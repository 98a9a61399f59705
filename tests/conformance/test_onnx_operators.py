"""Our arithmetic on ONNX's own operators: its backend tests, and ONNX Runtime on drawn ones.

What ONNX calls ConvInteger is equation (2), QLinearConv is (3), QuantizeLinear is (1).
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.conformance.cases import conv2d, linear
from tests.conformance.draft import Case
from tests.conformance.suite import Tally, compare
from tests.export.onnx.runtime import run_model
from zeropoint.arithmetic.integer import INT8, INT32, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, dequantize, quantize
from zeropoint.arithmetic.requantize import Float32, Grid, Term
from zeropoint.execute.onnxruntime import why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export.onnx import qoperator, to_onnx
from zeropoint.graph.op import Signature
from zeropoint.ops.accumulate import centred
from zeropoint.ops.conv import Conv2d

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

TYPES = {
    torch.uint8: UINT8,
    torch.int8: INT8,
    torch.int16: IntegerType(16, signed=True),
    torch.int32: INT32,
}
FILES = (
    *("quantizelinear", "dequantizelinear", "qlinearconv", "qlinearmatmul", "convinteger"),
    *("matmulinteger", "dynamicquantizelinear"),
)
ONE = torch.tensor(1.0)


# --- ONNX's operators, in our words --------------------------------------------------------------


def full(scale: Tensor, zero_point: Tensor, axis: int | None = None) -> QParams:
    """A grid that uses every code of its type, as ONNX's do."""
    type = TYPES[zero_point.dtype]
    per_channel = axis is not None and scale.numel() > 1
    if not per_channel:
        scale, zero_point = scale.reshape(()), zero_point.reshape(())
    return Full(scale, zero_point.to(torch.int32), type, axis if per_channel else None)


class Full(QParams):
    """Around zero a program's grid leaves the lowest code out; ONNX's does not."""

    @property
    def low(self) -> int:
        return self.type.low


def conv_integer(
    x: Tensor, w: Tensor, zero: Tensor | None = None, w_zero: Tensor | None = None, **how: Any
) -> Tensor:
    w_zero = torch.zeros((), dtype=w.dtype) if w_zero is None else w_zero
    zero = torch.zeros((), dtype=x.dtype) if zero is None else zero
    grids = full(ONE, zero), full(ONE.expand(w_zero.shape), w_zero, 0)
    signature = Signature((*grids, full(ONE, torch.tensor(0, dtype=torch.int32))), grids[0])
    pads = how.get("pads", [0] * 4)
    assert pads[:2] == pads[2:]
    op = Conv2d(padding=(pads[0], pads[1]))
    return op.accumulate([x, w, torch.zeros(len(w))], signature)


def matmul_integer(a: Tensor, b: Tensor, a_zero: Tensor, b_zero: Tensor) -> Tensor:
    left = centred(a, full(ONE, a_zero))
    right = centred(b, full(ONE.expand(b_zero.shape), b_zero, b.ndim - 1))
    return (left @ right).to(torch.int32)


def narrowed(acc: Tensor, multiplier: Tensor, zero_point: Tensor) -> Tensor:
    type = TYPES[zero_point.dtype]
    grid = Grid(int(zero_point), type.low, type.high)
    return Float32().requantize([Term(acc, multiplier)], grid).to(type.storage)


def qlinear_conv(
    x: Tensor, s: Tensor, z: Tensor, w: Tensor, ws: Tensor, wz: Tensor, ys: Tensor, yz: Tensor
) -> Tensor:
    multiplier = s.to(torch.float64) * ws.to(torch.float64).reshape(-1, 1, 1) / ys
    return narrowed(conv_integer(x, w, z, wz), multiplier, yz)


def qlinear_matmul(
    a: Tensor, s: Tensor, z: Tensor, b: Tensor, bs: Tensor, bz: Tensor, ys: Tensor, yz: Tensor
) -> Tensor:
    return narrowed(
        matmul_integer(a, b, z, bz), s.to(torch.float64) * bs.to(torch.float64) / ys, yz
    )


def quantize_linear(x: Tensor, s: Tensor, z: Tensor, axis: int = 1, **more: Any) -> Tensor:
    assert not more
    return quantize(x, full(s, z, axis))


def dequantize_linear(
    q: Tensor, s: Tensor, z: Tensor | None = None, axis: int = 1, **more: Any
) -> Tensor:
    assert not more
    return dequantize(q, full(s, torch.zeros(s.shape, dtype=q.dtype) if z is None else z, axis))


def dynamic_quantize_linear(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ONNX's formula for the grid; quantizing with it is ours."""
    low, high = x.min().clamp(max=0.0), x.max().clamp(min=0.0)
    scale = (high - low) / 255
    zero_point = torch.round(-low / scale).clamp(0, 255).to(torch.uint8)
    return quantize(x, full(scale, zero_point)), scale, zero_point


OURS: dict[str, Callable[..., Any]] = {
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "ConvInteger": conv_integer,
    "MatMulInteger": matmul_integer,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
}


# --- ONNX's backend tests ------------------------------------------------------------------------


def backend_cases() -> list[Any]:
    """ONNX's cases for these operators, in the types that programs have."""
    if why_unusable() is not None:
        return []
    for file in FILES:
        importlib.import_module(f"onnx.backend.test.case.node.{file}")
    node = importlib.import_module("onnx.backend.test.case.node")
    return [case for case in node._NodeTestCases if is_ours(case)]


def is_ours(case: Any) -> bool:
    nodes = case.model.graph.node
    inputs, outputs = case.data_sets[0]
    known = {*(str(dtype).removeprefix("torch.") for dtype in TYPES), "float32"}
    dtypes = {str(np.asarray(array).dtype) for array in (*inputs, *outputs)}
    blocked = any(attribute.name == "block_size" for attribute in nodes[0].attribute)
    return len(nodes) == 1 and nodes[0].op_type in OURS and dtypes <= known and not blocked


@pytest.mark.parametrize("case", backend_cases(), ids=lambda case: case.name)
def test_our_arithmetic_passes_the_backend_tests_of_onnx(case: Any) -> None:
    import onnx

    (node,) = case.model.graph.node
    how = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    for inputs, outputs in case.data_sets:
        found = OURS[node.op_type](*[torch.from_numpy(np.asarray(x)) for x in inputs], **how)
        for ours, theirs in zip(
            found if isinstance(found, tuple) else (found,), outputs, strict=True
        ):
            expected = torch.from_numpy(np.asarray(theirs))
            assert ours.dtype == expected.dtype
            assert torch.equal(ours, expected)


def test_the_backend_tests_reach_every_operator() -> None:
    assert {case.model.graph.node[0].op_type for case in backend_cases()} == OURS.keys()


# --- ONNX Runtime on drawn operators -------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "operator", "exact_in_float32"),
    [
        (conv2d(wide=True), "ConvInteger", 0.0),
        (conv2d(wide=True), "Conv", 2.0**24),
        (linear(wide=True), "MatMulInteger", 0.0),
    ],
    ids=["ConvInteger", "Conv", "MatMulInteger"],
)
def test_accumulators_are_those_of_onnx_runtime(
    draw: Any, operator: str, exact_in_float32: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any strides, pads, dilations, groups and zero points."""
    monkeypatch.setattr(qoperator, "EXACT_IN_FLOAT32", exact_in_float32)

    @settings(max_examples=100)
    @given(draw)
    def check(case: Case) -> None:
        model = to_onnx(case.program, form="qoperator")
        assert operator in {node.op_type for node in model.graph.node}
        found = run_model(model, case)
        assert torch.equal(found[0], Reference(case.program).run(case.inputs)[0])

    check()


@pytest.mark.parametrize("draw", [conv2d(), linear()], ids=["conv", "linear"])
@pytest.mark.parametrize("form", ["qdq", "qoperator"])
def test_results_are_those_of_onnx_runtime_but_for_one_step_in_ten_thousand(
    form: str, draw: Any
) -> None:
    """QLinearConv and what QDQ is fused to, saturation corners included."""
    total = Tally()

    @settings(max_examples=100)
    @given(draw)
    def check(case: Case) -> None:
        nonlocal total
        found = run_model(to_onnx(case.program, form=form), case)
        total += compare(case, found, Reference(case.program).run(case.inputs))

    check()
    assert total.agrees, total


@settings(max_examples=100)
@given(conv2d(addend=True))
def test_the_exact_form_of_a_sum_with_an_addend_is_the_reference_bit_by_bit(case: Case) -> None:
    found = run_model(to_onnx(case.program, form="qoperator", exact=True), case)
    assert torch.equal(found[0], Reference(case.program).run(case.inputs)[0])
