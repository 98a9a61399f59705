"""Sizes in ONNX: int64 lists of one element, so that they join to shapes."""

from collections.abc import Sequence

from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.graph.value import Shape
from zeropoint.ops.shape import COMPUTED, INFER, KEEP, Flatten, Reshape, SizeArithmetic

OPERATORS = {"add": "Add", "sub": "Sub", "mul": "Mul", "sym_max": "Max", "sym_min": "Min"}


def size_of(sheet: Sheet, x: str, axis: int) -> str:
    """The extent of one dimension."""
    return sheet.emit("Gather", sheet.emit("Shape", x), sheet.integers([axis]), axis=0)


def size_arithmetic(sheet: Sheet, op: SizeArithmetic, operands: Sequence[str]) -> str:
    """Arithmetic on sizes, rounding towards minus infinity as Python does."""
    if any(isinstance(number, float) for number in op.numbers):
        raise Refusal("a size that is computed in floating point")
    computed = iter(operands)
    terms = [
        next(computed) if number is None else sheet.integers([int(number)]) for number in op.numbers
    ]
    if op.function not in {"neg", "mod", "floordiv", *OPERATORS}:
        raise Refusal(f"a size that is computed by {op.function!r}, in floating point")
    if op.function == "neg":
        return sheet.emit("Neg", *terms)
    if op.function == "mod":
        return sheet.emit("Mod", *terms)
    if op.function == "floordiv":
        whole = sheet.emit("Sub", terms[0], sheet.emit("Mod", *terms))
        return sheet.emit("Div", whole, terms[1])
    return sheet.emit(OPERATORS[op.function], *terms)


def reshaped(sheet: Sheet, op: Reshape, x: str, sizes: Sequence[str]) -> str:
    """Reshape; 0 and -1 mean the same in ONNX as KEEP and INFER."""
    if COMPUTED not in op.shape:
        return sheet.emit("Reshape", x, sheet.integers(op.shape))
    computed = iter(sizes)
    parts = [next(computed) if n == COMPUTED else sheet.integers([n]) for n in op.shape]
    return sheet.emit("Reshape", x, sheet.emit("Concat", *parts, axis=0))


def flattened(sheet: Sheet, op: Flatten, x: str, shape: Shape) -> str:
    """Flatten from any dimension to any other."""
    last = op.end % len(shape)
    if op.start == 1 and last == len(shape) - 1:
        return sheet.emit("Flatten", x, axis=1)
    after = range(last + 1, len(shape))
    parts = [sheet.integers([KEEP] * op.start + [INFER])]
    for axis in after:
        extent = shape[axis]
        known = isinstance(extent, int)
        parts.append(sheet.integers([int(extent)]) if known else size_of(sheet, x, axis))
    return sheet.emit("Reshape", x, sheet.emit("Concat", *parts, axis=0))
