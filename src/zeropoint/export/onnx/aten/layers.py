"""Matrix products, and convolutions that have no integer form."""

from collections.abc import Mapping, Sequence
from typing import Any

from zeropoint.export.onnx.aten.arguments import Rule
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet


def matmul(sheet: Sheet, a: Operand, b: Operand) -> str:
    """The matrix product."""
    return sheet.emit("MatMul", a.name, b.name)


def linear(sheet: Sheet, x: Operand, weight: Operand, bias: Operand | None = None) -> str:
    """X w^T + b."""
    y = sheet.emit("MatMul", x.name, sheet.emit("Transpose", weight.name, perm=(1, 0)))
    return y if bias is None else sheet.emit("Add", y, bias.name)


def addmm(
    sheet: Sheet, bias: Operand, a: Operand, b: Operand, *, beta: float = 1, alpha: float = 1
) -> str:
    """Beta bias + alpha a b."""
    y = sheet.emit("MatMul", a.name, b.name)
    y = y if alpha == 1 else sheet.emit("Mul", y, sheet.number(float(alpha)))
    added = bias.name if beta == 1 else sheet.emit("Mul", bias.name, sheet.number(float(beta)))
    return sheet.emit("Add", y, added)


def einsum(sheet: Sheet, equation: str, operands: Sequence[Operand], **path: object) -> str:
    """Products summed over the letters that the result has not."""
    return sheet.emit("Einsum", *[x.name for x in operands], equation=equation)


def convolution(operator: str, dimensions: int) -> Rule:
    """Convolution in so many dimensions; transposed by the operator's name."""
    transposed = operator == "ConvTranspose"

    def spread(value: int | Sequence[int]) -> tuple[int, ...]:
        several = (value,) if isinstance(value, int) else tuple(value)
        return several * dimensions if len(several) == 1 else several

    def emit(sheet: Sheet, operands: Sequence[Operand | None], **geometry: Any) -> str:
        names = [operand.name for operand in operands if operand is not None]
        return sheet.emit(operator, *names, **geometry)

    def plain(
        sheet: Sheet,
        x: Operand,
        weight: Operand,
        bias: Operand | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> str:
        if isinstance(padding, str):
            raise ValueError(f"padding={padding!r}")
        return emit(
            sheet,
            (x, weight, bias),
            strides=spread(stride),
            pads=spread(padding) * 2,
            dilations=spread(dilation),
            group=groups,
        )

    def reverse(
        sheet: Sheet,
        x: Operand,
        weight: Operand,
        bias: Operand | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> str:
        return emit(
            sheet,
            (x, weight, bias),
            strides=spread(stride),
            pads=spread(padding) * 2,
            output_padding=spread(output_padding),
            group=groups,
            dilations=spread(dilation),
        )

    return reverse if transposed else plain


RULES: Mapping[str, Rule] = {
    "aten.matmul.default": matmul,
    "aten.mm.default": matmul,
    "aten.bmm.default": matmul,
    "aten.addmm.default": addmm,
    "aten.baddbmm.default": addmm,
    "aten.einsum.default": einsum,
    "aten.linear.default": linear,
    "aten.conv1d.default": convolution("Conv", 1),
    "aten.conv2d.default": convolution("Conv", 2),
    "aten.conv3d.default": convolution("Conv", 3),
    "aten.conv_transpose1d.default": convolution("ConvTranspose", 1),
    "aten.conv_transpose3d.input": convolution("ConvTranspose", 3),
    "aten.conv_transpose2d.input": convolution("ConvTranspose", 2),
}
