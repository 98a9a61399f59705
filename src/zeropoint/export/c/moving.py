"""What only moves elements, from one grid to another at most."""

import math
from collections.abc import Callable, Mapping

import torch

from zeropoint.export.c.at import At
from zeropoint.export.c.codes import codes, codes_of
from zeropoint.export.c.extents import merged_padding
from zeropoint.export.c.fields import one
from zeropoint.export.c.gather import offsets
from zeropoint.export.c.sample import Requantization
from zeropoint.export.c.step import Alias, Array, Call, Field, Step
from zeropoint.ops.concat import Concat
from zeropoint.ops.expand import Expand, Repeat
from zeropoint.ops.movement import put_in
from zeropoint.ops.order import Flip, Roll, Take
from zeropoint.ops.pad import CONSTANT, Pad
from zeropoint.ops.permute import Permute
from zeropoint.ops.quantize import Dequantize, Requantize
from zeropoint.ops.shape import Flatten, Reshape, Squeeze, Unsqueeze
from zeropoint.ops.shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle, Unfold
from zeropoint.ops.slice import Slice
from zeropoint.ops.upsample import Nearest

MOVEMENTS = (
    Flatten, Reshape, Squeeze, Unsqueeze, Permute, Slice, Take, Flip, Roll, Expand, Repeat,
    ChannelShuffle, PixelShuffle, PixelUnshuffle, Unfold,
)  # fmt: skip
"""Where an element comes from is all there is to say of them."""


def _requantize(at: At) -> Step | Alias:
    if at.params(at.inputs[0]) == at.params(at.output):
        return Alias(at.inputs[0])
    size = math.prod(at.out_shape)
    call = _moved(at, 0, rows=1, length=size, stride=size, requantization=at.requantizations[0])
    return at.step(call, overwrites=at.inputs)


def _concat(at: At) -> Step:
    axis, out = at.op.axis, at.out_shape
    rows, inner = math.prod(out[:axis]), math.prod(out[axis + 1 :])
    asked = iter(at.requantizations)
    calls, offset = [], 0
    for operand, name in enumerate(at.inputs):
        length = at.shape(operand)[axis] * inner
        same = at.params(name) == at.params(at.output)
        calls.append(
            _moved(
                at,
                operand,
                rows=rows,
                length=length,
                stride=out[axis] * inner,
                requantization=None if same else next(asked),
                offset=offset,
            )
        )
        offset += length
    return at.step(*calls)


def _moved(
    at: At,
    operand: int,
    *,
    rows: int,
    length: int,
    stride: int,
    requantization: Requantization | None,
    offset: int = 0,
) -> Call:
    """One operand in its place, requantized unless it is on the grid of the result."""
    fields: dict[str, Field] = {"rows": rows, "length": length, "stride": stride}
    reads = (at.inputs[operand],)
    if requantization is None:
        return Call("copy_rows", "movement", fields, reads, at.output, offset)
    fields["in_zero"] = at.zero(operand)
    fields["multiplier"] = one(requantization.multipliers[0])
    fields["grid"] = codes_of(requantization.grid, at.params(at.output)).grid
    return Call("requantize_rows", "movement", fields, reads, at.output, offset)


def _pad(at: At) -> Step | Alias:
    if at.op.mode != CONSTANT:
        return _moved_elements(at)
    amounts = put_in(at.op.amounts, at.sizes)
    inside, outside, before = merged_padding(at.shape(0), amounts)
    signature = at.program.signature(at.node)
    fields: dict[str, Field] = {
        "in": inside,
        "out": outside,
        "before": before,
        "zero": at.op.code(signature) + codes(signature.output).offset,
    }
    return at.step(Call("pad", "padding", fields, at.inputs[:1], at.output))


def _moved_elements(at: At) -> Step | Alias:
    tables = offsets(at.op, at.shape(0), at.sizes)
    if tables is None:
        return Alias(at.inputs[0])
    fields: dict[str, Field] = {
        "extent": tuple(len(table) for table in tables),
        "offset": Array("offset", "int32_t", tuple(torch.cat(tables).tolist())),
    }
    return at.step(Call("gather", "gathering", fields, at.inputs[:1], at.output))


def _alias(at: At) -> Alias:
    return Alias(at.inputs[0])


MOVING: Mapping[type, Callable[[At], Step | Alias]] = {
    Requantize: _requantize,
    Concat: _concat,
    Pad: _pad,
    **dict.fromkeys(MOVEMENTS, _moved_elements),
    Nearest: _moved_elements,
    Dequantize: _alias,
}
