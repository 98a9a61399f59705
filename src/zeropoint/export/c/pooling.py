"""What reads a window, or rows: poolings, reductions and interpolation."""

import math
from collections.abc import Callable, Mapping

from zeropoint.export.c.at import At
from zeropoint.export.c.codes import codes
from zeropoint.export.c.fields import each, one
from zeropoint.export.c.step import Alias, Array, Call, Field, Step
from zeropoint.export.c.windows import Pair, Windows, as_image, as_pair, windows
from zeropoint.ops.pool import (
    AdaptiveAveragePool1d,
    AdaptiveAveragePool2d,
    AveragePool1d,
    AveragePool2d,
    GlobalAveragePool,
    MaxPool1d,
    MaxPool2d,
)
from zeropoint.ops.reduce import Amax, Mean, Sum
from zeropoint.ops.upsample import Interpolate


def _max_pool2d(at: At) -> Step:
    op = at.op
    kernel, stride, dilation = as_pair(op.kernel), as_pair(op.stride), as_pair(op.dilation)
    return _maxima(at, _planes(at), kernel, stride, as_pair(op.padding, 0), dilation)


def _maxima(
    at: At,
    planes: dict[str, Field],
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Step:
    fields: dict[str, Field] = {
        **planes,
        "kernel_height": kernel[0],
        "kernel_width": kernel[1],
        "stride_y": stride[0],
        "stride_x": stride[1],
        "padding_y": padding[0],
        "padding_x": padding[1],
        "dilation_y": dilation[0],
        "dilation_x": dilation[1],
        "low": codes(at.params(at.output)).low,
    }
    return at.step(Call("max_pool2d", "maxima", fields, at.inputs, at.output))


def _average(at: At) -> Step:
    size, out = as_image(at.shape(0))[2:], _out_size(at)
    rows, columns = windows(at.op, (size[0], size[1]), out)
    return _averages(at, _planes(at), rows, columns)


def _averages(at: At, planes: dict[str, Field], rows: Windows, columns: Windows) -> Step:
    by = at.requantizations[0].multipliers[0]
    pairs = each(by, len(rows) * len(columns))
    distinct = tuple(dict.fromkeys(pairs))
    fields = planes | {
        "rows": Array("rows", "struct range", rows),
        "columns": Array("columns", "struct range", columns),
        "in_zero": at.zero(0),
        "multiplier": Array("multiplier", "struct multiplier", distinct),
        "grid": at.codes().grid,
    }
    if len(distinct) > 1:
        which = tuple(distinct.index(pair) for pair in pairs)
        fields["which"] = Array("which", "uint16_t", which)
    return at.step(Call("average_pool2d", "averages", fields, at.inputs, at.output))


def _planes(at: At) -> dict[str, Field]:
    images, channels, in_height, in_width = as_image(at.shape(0))
    out_height, out_width = _out_size(at)
    return {
        "planes": images * channels,
        "in_height": in_height,
        "in_width": in_width,
        "out_height": out_height,
        "out_width": out_width,
    }


def _out_size(at: At) -> Pair:
    """Height and width; a global average without `keep` has neither."""
    if len(at.out_shape) == 2:
        return 1, 1
    height, width = as_image(at.out_shape)[2:]
    return height, width


def _reduced(at: At) -> Step:
    """A mean or a sum over the last axes: one window for each row of them."""
    planes, length = _rows(at)
    return _averages(at, planes, ((0, 1),), ((0, length),))


def _greatest(at: At) -> Step:
    planes, length = _rows(at)
    return _maxima(at, planes, (1, length))


def _rows(at: At) -> tuple[dict[str, Field], int]:
    """What is reduced as planes of one row, and how long it is."""
    shape = at.shape(0)
    length = math.prod(shape[axis] for axis in at.op.axes)
    planes = math.prod(shape) // length
    sizes = {"in_height": 1, "in_width": length, "out_height": 1, "out_width": 1}
    return {"planes": planes, **sizes}, length


def _interpolate(at: At) -> Step:
    positions = at.op.positions(at.shape(0)[2:], at.sizes)
    taps = [
        tuple(zip(p.before.tolist(), p.after.tolist(), p.share.tolist(), strict=True))
        for p in positions
    ]
    rows = taps[0] if len(taps) == 2 else ((0, 0, 0),)
    fields: dict[str, Field] = {
        **_planes(at),
        "rows": Array("rows", "struct tap", rows),
        "columns": Array("columns", "struct tap", taps[-1]),
        "row_parts": positions[0].parts if len(taps) == 2 else 1,
        "column_parts": positions[-1].parts,
        "in_zero": at.zero(0),
        "multiplier": one(at.requantizations[0].multipliers[0]),
        "grid": at.codes().grid,
    }
    return at.step(Call("interpolate2d", "interpolation", fields, at.inputs[:1], at.output))


POOLING: Mapping[type, Callable[[At], Step | Alias]] = {
    MaxPool1d: _max_pool2d,
    MaxPool2d: _max_pool2d,
    AveragePool1d: _average,
    AveragePool2d: _average,
    AdaptiveAveragePool1d: _average,
    AdaptiveAveragePool2d: _average,
    GlobalAveragePool: _average,
    Mean: _reduced,
    Sum: _reduced,
    Amax: _greatest,
    Interpolate: _interpolate,
}
