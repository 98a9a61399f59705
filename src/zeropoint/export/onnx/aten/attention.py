"""Attention as products and a softmax."""

import math
from collections.abc import Mapping

import torch

from zeropoint.export.onnx.aten.arguments import Rule, extent_of, rank
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.export.onnx.sizes import size_of


def attention(
    sheet: Sheet,
    query: Operand,
    key: Operand,
    value: Operand,
    mask: Operand | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> str:
    """softmax(q k^T scale + mask) v."""
    if enable_gqa:
        raise ValueError("enable_gqa=True")
    factor = 1.0 / math.sqrt(extent_of(query, -1)) if scale is None else scale
    order = (*range(rank(key) - 2), rank(key) - 1, rank(key) - 2)
    turned = sheet.emit("Transpose", key.name, perm=order)
    scores = sheet.emit("MatMul", sheet.emit("Mul", query.name, sheet.number(factor)), turned)
    if is_causal:
        scores = sheet.emit("Where", _causal(sheet, query, key), scores, _never(sheet))
    if mask is not None:
        scores = _masked(sheet, scores, mask)
    return sheet.emit("MatMul", sheet.emit("Softmax", scores, axis=-1), value.name)


def _never(sheet: Sheet) -> str:
    return sheet.number(-math.inf)


def _masked(sheet: Sheet, scores: str, mask: Operand) -> str:
    if mask.dtype is torch.bool:
        return sheet.emit("Where", mask.name, scores, _never(sheet))
    return sheet.emit("Add", scores, mask.name)


def _causal(sheet: Sheet, query: Operand, key: Operand) -> str:
    """True where the query is not before the key."""
    rows, columns = (_places(sheet, x) for x in (query, key))
    down = sheet.emit("Unsqueeze", rows, sheet.integers([1]))
    return sheet.emit("GreaterOrEqual", down, columns)


def _places(sheet: Sheet, x: Operand) -> str:
    scalar = sheet.emit("Squeeze", size_of(sheet, x.name, rank(x) - 2), sheet.integers([0]))
    ends = (sheet.constant("place", _INTEGER[0]), scalar, sheet.constant("place", _INTEGER[1]))
    return sheet.emit("Range", *ends)


_INTEGER = tuple(torch.tensor(number).numpy() for number in (0, 1))

RULES: Mapping[str, Rule] = {"aten.scaled_dot_product_attention.default": attention}
