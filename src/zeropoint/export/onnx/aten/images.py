"""Resizing, padding and pooling of images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeropoint.export.onnx.aten.arguments import Argument, Rule, rank
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.export.onnx.sizes import size_of


def _resized(
    sheet: Sheet, x: Operand, size: Argument, factors: Argument, **how: int | float | str
) -> str:
    if factors is not None:
        scales = np.asarray([1.0, 1.0, *factors], np.float32)
        return sheet.emit("Resize", x.name, "", sheet.constant("scales", scales), **how)
    kept = [size_of(sheet, x.name, axis) for axis in (0, 1)]
    wanted = [n.name if isinstance(n, Operand) else sheet.integers([n]) for n in size]
    sizes = sheet.emit("Concat", *kept, *wanted, axis=0)
    return sheet.emit("Resize", x.name, "", "", sizes, **how)


def upsample_nearest(
    sheet: Sheet, x: Operand, size: Argument, factors: Argument = None, *more: Argument
) -> str:
    """Each pixel repeated."""
    if more or (factors is not None and not isinstance(factors, (list, tuple))):
        factors = [factors, *more]
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return _resized(sheet, x, size, factors, mode="nearest", **how)


def upsample(mode: str) -> Rule:
    """Interpolation, linear or cubic."""

    def rule(
        sheet: Sheet,
        x: Operand,
        size: Argument,
        align_corners: bool,
        factors: Argument = None,
        *more: Argument,
    ) -> str:
        if more or (factors is not None and not isinstance(factors, (list, tuple))):
            factors = [factors, *more]
        corners = "align_corners" if align_corners else "half_pixel"
        cubic = {"cubic_coeff_a": -0.75} if mode == "cubic" else {}
        return _resized(
            sheet, x, size, factors, mode=mode, coordinate_transformation_mode=corners, **cubic
        )

    return rule


def pixel_shuffle(sheet: Sheet, x: Operand, factor: int) -> str:
    """Channels to pixels."""
    return sheet.emit("DepthToSpace", x.name, blocksize=factor, mode="CRD")


def pad(
    sheet: Sheet, x: Operand, amounts: Sequence[int], mode: str = "constant", value: Any = None
) -> str:
    """Padding of any kind that ONNX has."""
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    if mode not in modes:
        raise ValueError(f"mode={mode!r}")
    count = rank(x)
    before, after = [0] * count, [0] * count
    for i in range(len(amounts) // 2):
        before[count - 1 - i], after[count - 1 - i] = amounts[2 * i], amounts[2 * i + 1]
    fill = [sheet.number(float(value or 0.0))] if mode == "constant" else []
    ends = sheet.integers([*before, *after])
    return sheet.emit("Pad", x.name, ends, *fill, mode=modes[mode])


RULES: Mapping[str, Rule] = {
    "aten.upsample_nearest2d.vec": upsample_nearest,
    "aten.upsample_nearest2d.default": upsample_nearest,
    "aten.upsample_bilinear2d.vec": upsample("linear"),
    "aten.upsample_bicubic2d.vec": upsample("cubic"),
    "aten.pixel_shuffle.default": pixel_shuffle,
    "aten.pad.default": pad,
}
