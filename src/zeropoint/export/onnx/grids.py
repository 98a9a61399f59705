"""Equation (1) in ONNX: QuantizeLinear and DequantizeLinear on the grids of a program.

    q = saturate(round(r / s) + z), then Clip where the grid is narrower than uint8
    r = s (q - z)

A Clip stands on the integers, behind QuantizeLinear: there it is exact, and ONNX Runtime still
makes one integer kernel of what is before it.
"""

from typing import Any

import numpy as np
import torch

from zeropoint.arithmetic.qparams import QParams
from zeropoint.export.onnx.sheet import Sheet

INTEGERS: dict[torch.dtype, type[np.signedinteger[Any] | np.unsignedinteger[Any]]] = {
    torch.uint8: np.uint8,
    torch.int8: np.int8,
    torch.int32: np.int32,
}


def is_wide(params: QParams) -> bool:
    """True for accumulators, which ONNX's grids do not hold: they leave as real numbers."""
    return params.type.bits > 8


def scale_of(sheet: Sheet, params: QParams) -> str:
    """The scale as a constant."""
    return sheet.constant(f"{sheet.hint}.scale", params.scale.numpy())


def zero_point_of(sheet: Sheet, params: QParams) -> str:
    """The zero point as a constant of the integers' type."""
    dtype = INTEGERS[params.type.storage]
    return sheet.constant(f"{sheet.hint}.zero_point", params.zero_point.numpy().astype(dtype))


def quantized(sheet: Sheet, real: str, params: QParams) -> str:
    """QuantizeLinear; it saturates at the ends of the type, not of a narrower grid."""
    return sheet.emit("QuantizeLinear", real, scale_of(sheet, params), zero_point_of(sheet, params))


def dequantized(sheet: Sheet, q: str, params: QParams) -> str:
    """DequantizeLinear."""
    scale = scale_of(sheet, params)
    axis = {} if params.scale.ndim == 0 else {"axis": params.axis or 0}
    if params.type.bits == 32:  # z = 0, and ONNX wants it left out
        return sheet.emit("DequantizeLinear", q, scale, **axis)
    return sheet.emit("DequantizeLinear", q, scale, zero_point_of(sheet, params), **axis)


def bounded(sheet: Sheet, q: str, params: QParams, bounds: tuple[int, int]) -> str:
    """Clip to the inclusive bounds, where the type's own ends do not do it."""
    dtype = INTEGERS[params.type.storage]
    ends = np.iinfo(dtype)
    if bounds == (ends.min, ends.max):
        return q
    low, high = (sheet.number(bound, dtype) for bound in bounds)
    return sheet.emit("Clip", q, low, high)
