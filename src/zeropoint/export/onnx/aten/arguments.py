"""What torch's operators are called with, read for ONNX."""

from collections.abc import Callable, Sequence
from typing import Any

from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet

Argument = Any  # an Operand, a number, a string, a list of them, or None: whatever torch was given

Rule = Callable[..., str | tuple[str, ...]]
"""(sheet, the call's own arguments...) -> the name of the result, or of several.

ValueError says what ONNX, or the rule, has no words for."""


def tensor(sheet: Sheet, item: Argument) -> str:
    """An operand, or a number as a constant."""
    return item.name if isinstance(item, Operand) else sheet.number(float(item))


def rank(x: Operand) -> int:
    return len(x.shape)


def axes_of(x: Operand, axes: int | Sequence[int] | None) -> list[int]:
    if axes is None or axes == []:
        return list(range(rank(x)))
    return sorted(axis % rank(x) for axis in ([axes] if isinstance(axes, int) else axes))


def extent_of(x: Operand, axis: int) -> int:
    extent = x.shape[axis]
    if not isinstance(extent, int):
        raise ValueError(f"dimension {axis} of its operand is known at run time only")
    return extent
