"""What torch's operators are called with, read for ONNX."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet

Argument = Any  # an Operand, a number, a string, a list of them, or None: whatever torch was given

Rule = Callable[..., str | tuple[str, ...]]
"""(sheet, the call's own arguments...) -> the name of the result, or of several.

ValueError says what ONNX, or the rule, has no words for."""


ELEMENTS: dict[torch.dtype, tuple[int, type[np.generic]]] = {
    torch.float32: (1, np.float32),
    torch.uint8: (2, np.uint8),
    torch.int8: (3, np.int8),
    torch.int16: (5, np.int16),
    torch.int32: (6, np.int32),
    torch.int64: (7, np.int64),
    torch.bool: (9, np.bool_),
    torch.float16: (10, np.float16),
    torch.float64: (11, np.float64),
}
"""torch's dtypes: ONNX's number of each, and numpy's name."""


def tensor(sheet: Sheet, item: Argument, dtype: torch.dtype = torch.float32) -> str:
    """An operand, a size, or a number as a constant, of that dtype."""
    number, elements = _elements(dtype)
    if not isinstance(item, Operand):
        return sheet.constant(f"{sheet.hint}.number", np.asarray(item, elements))
    if item.dtype == dtype:
        return item.name
    name = item.name
    if item.dtype is None:
        name = sheet.emit("Reshape", name, sheet.constant("none", np.zeros(0, np.int64)))
        return name if dtype is torch.int64 else sheet.emit("Cast", name, to=number)
    return sheet.emit("Cast", name, to=number)


def cast(sheet: Sheet, name: str, dtype: torch.dtype) -> str:
    """Elements of another kind."""
    return sheet.emit("Cast", name, to=_elements(dtype)[0])


def common(*items: Argument) -> torch.dtype:
    """What torch computes of operands and numbers in."""
    found: Any = items[0] if not isinstance(items[0], Operand) else _example(items[0])
    for item in items[1:]:
        other = _example(item) if isinstance(item, Operand) else item
        dtype = torch.result_type(found, other)
        both = any(isinstance(x, torch.Tensor) and x.ndim for x in (found, other))
        found = torch.empty([1] if both else [], dtype=dtype)
    return torch.result_type(found, found)


def dtype_of(item: Argument, otherwise: torch.dtype = torch.float32) -> torch.dtype:
    """The dtype that a call names."""
    found: torch.dtype = otherwise if item is None else getattr(torch, item[1])
    return found


def _example(x: Operand) -> Any:  # a tensor, or a Python int for a size
    return 1 if x.dtype is None else torch.empty([1] * len(x.shape), dtype=x.dtype)


def _elements(dtype: torch.dtype) -> tuple[int, type[np.generic]]:
    if dtype not in ELEMENTS:
        raise ValueError(f"elements of {str(dtype).removeprefix('torch.')}")
    return ELEMENTS[dtype]


def rank(x: Operand) -> int:
    return len(x.shape)


def axes_of(x: Operand, axes: int | Sequence[int] | None) -> list[int]:
    if axes is None or axes == []:
        return list(range(rank(x)))
    several = [axes] if isinstance(axes, int) else axes
    return sorted(axis % max(rank(x), 1) for axis in several)


def extent_of(x: Operand, axis: int) -> int:
    extent = x.shape[axis]
    if not isinstance(extent, int):
        raise ValueError(f"dimension {axis} of its operand is known at run time only")
    return extent


def shape_list(sheet: Sheet, shape: Sequence[Argument]) -> str:
    """A shape of numbers and sizes, as one list."""
    if all(isinstance(size, int) for size in shape):
        return sheet.integers(shape)
    parts = [s.name if isinstance(s, Operand) else sheet.integers([s]) for s in shape]
    return sheet.emit("Concat", *parts, axis=0)
