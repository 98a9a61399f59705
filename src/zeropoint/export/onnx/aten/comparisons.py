"""What answers yes or no, what is chosen by it, and elements of another kind."""

from collections.abc import Mapping

import torch

from zeropoint.export.onnx.aten.arguments import Argument, Rule, cast, common, dtype_of, tensor
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet


def compared(operator: str) -> Rule:
    """A comparison of two tensors, or of a tensor with a number."""

    def rule(sheet: Sheet, a: Argument, b: Argument) -> str:
        dtype = common(a, b)
        return sheet.emit(operator, tensor(sheet, a, dtype), tensor(sheet, b, dtype))

    return rule


def unlike(sheet: Sheet, a: Argument, b: Argument) -> str:
    """True where two differ."""
    dtype = common(a, b)
    same = sheet.emit("Equal", tensor(sheet, a, dtype), tensor(sheet, b, dtype))
    return sheet.emit("Not", same)


def logical(operator: str) -> Rule:
    """And, or, exclusive or of what is not zero."""

    def rule(sheet: Sheet, a: Argument, b: Argument) -> str:
        return sheet.emit(operator, tensor(sheet, a, torch.bool), tensor(sheet, b, torch.bool))

    return rule


def bitwise(operator: str) -> Rule:
    """The same of truth values; of integers it is another operator."""

    def rule(sheet: Sheet, a: Argument, b: Argument) -> str:
        if common(a, b) is not torch.bool:
            raise ValueError("bits of integers")
        return sheet.emit(operator, tensor(sheet, a, torch.bool), tensor(sheet, b, torch.bool))

    return rule


def negated(sheet: Sheet, x: Operand) -> str:
    """True where x is zero."""
    return sheet.emit("Not", tensor(sheet, x, torch.bool))


def bits_negated(sheet: Sheet, x: Operand) -> str:
    """The same of truth values."""
    if x.dtype is not torch.bool:
        raise ValueError("bits of integers")
    return sheet.emit("Not", x.name)


def where(sheet: Sheet, condition: Operand, a: Argument, b: Argument) -> str:
    """One where the condition holds, the other elsewhere."""
    dtype = common(a, b)
    chosen = tensor(sheet, a, dtype), tensor(sheet, b, dtype)
    return sheet.emit("Where", tensor(sheet, condition, torch.bool), *chosen)


def masked_fill(sheet: Sheet, x: Operand, mask: Operand, value: Argument) -> str:
    """A number where the mask holds, x elsewhere."""
    assert x.dtype is not None
    return sheet.emit("Where", mask.name, tensor(sheet, value, x.dtype), x.name)


def is_nan(sheet: Sheet, x: Operand) -> str:
    """True for what is no number."""
    return sheet.emit("IsNaN", x.name)


def is_infinite(sheet: Sheet, x: Operand) -> str:
    """True for the infinities."""
    return sheet.emit("IsInf", x.name)


def converted(
    sheet: Sheet, x: Operand, dtype: Argument = None, *how: object, **more: object
) -> str:
    """Elements of another kind."""
    return cast(sheet, x.name, dtype_of(dtype or more.get("dtype"), x.dtype or torch.int64))


def converted_like(sheet: Sheet, x: Operand, other: Operand, *how: object, **more: object) -> str:
    """Elements of another tensor's kind."""
    return cast(sheet, x.name, other.dtype or torch.int64)


ORDER = {
    "eq": "Equal", "gt": "Greater", "ge": "GreaterOrEqual", "lt": "Less", "le": "LessOrEqual",
}  # fmt: skip
LOGICAL = {"and": "And", "or": "Or", "xor": "Xor"}

RULES: Mapping[str, Rule] = {
    **{
        f"aten.{name}.{kind}": compared(operator)
        for name, operator in ORDER.items()
        for kind in ("Tensor", "Scalar")
    },
    "aten.ne.Tensor": unlike,
    "aten.ne.Scalar": unlike,
    **{f"aten.logical_{name}.default": logical(operator) for name, operator in LOGICAL.items()},
    **{f"aten.bitwise_{name}.Tensor": bitwise(operator) for name, operator in LOGICAL.items()},
    **{f"aten.__{name}__.Tensor": bitwise(LOGICAL[name]) for name in ("and", "or", "xor")},
    "aten.logical_not.default": negated,
    "aten.bitwise_not.default": bits_negated,
    "aten.where.self": where,
    "aten.where.ScalarSelf": where,
    "aten.where.ScalarOther": where,
    "aten.where.Scalar": where,
    "aten.masked_fill.Scalar": masked_fill,
    "aten.masked_fill.Tensor": masked_fill,
    "aten.isnan.default": is_nan,
    "aten.isinf.default": is_infinite,
    "aten.to.dtype": converted,
    "aten._to_copy.default": converted,
    "aten.type_as.default": converted_like,
    "aten.to.other": converted_like,
}
