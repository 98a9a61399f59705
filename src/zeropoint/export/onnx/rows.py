"""Linear layers on more than two dimensions: (..., I) as rows (n, I), and back as (..., O)."""

from zeropoint.export.onnx.sheet import Sheet
from zeropoint.export.onnx.sizes import size_of
from zeropoint.graph.value import Shape


def as_rows(sheet: Sheet, x: str, shape: Shape, features: int) -> str:
    """(n, I): all but the last dimension in one."""
    if len(shape) == 2:
        return x
    return sheet.emit("Reshape", x, sheet.integers([-1, features]))


def from_rows(sheet: Sheet, rows: str, x: str, shape: Shape, outputs: int) -> str:
    """(..., O): the dimensions that `x`, of `shape`, has before its last."""
    if len(shape) == 2:
        return rows
    if len(shape) == 1:
        return sheet.emit("Reshape", rows, sheet.integers([outputs]))
    sizes = [size_of(sheet, x, axis) for axis in range(len(shape) - 1)]
    target = sheet.emit("Concat", *sizes, sheet.integers([outputs]), axis=0)
    return sheet.emit("Reshape", rows, target)
