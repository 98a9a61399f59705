"""What only moves elements, in OpenVINO."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zeropoint.graph.op import Op
from zeropoint.graph.value import Value
from zeropoint.ops.expand import KEPT, Expand, Repeat
from zeropoint.ops.movement import Numbers
from zeropoint.ops.order import Flip, Roll, Take
from zeropoint.ops.pad import CONSTANT, Pad, PadWith
from zeropoint.ops.permute import Permute
from zeropoint.ops.reduce import Amax
from zeropoint.ops.shape import COMPUTED, INFER, Flatten, Reshape, Squeeze, Unsqueeze
from zeropoint.ops.shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle, Unfold
from zeropoint.ops.slice import END, Slice
from zeropoint.ops.upsample import Nearest

Output = Any  # an openvino.Output: the package is optional and its types are generated
Operands = Sequence[Output]
Values = Sequence[Value]

BEGINNING = -(2**63)
"""Before the first element, for a slice that goes backwards."""


def is_accumulator(value: Value) -> bool:
    """True for the sums of a layer, whose scales are those of its channels."""
    return value.params is not None and value.params.type.bits == 32


def settled(x: Output) -> Output:
    """The same real numbers, with nothing left for the plugin to move behind what follows.

    Of a reshape whose sizes only the run knows it compares the second dimension alone, and takes
    the scales of channels through where that happens to have the same extent (openvino 2026.4.1).
    """
    from openvino import opset14 as ops

    return ops.maximum(x, np.finfo(np.float32).min)


def listed(numbers: Numbers, sizes: Operands) -> Output:
    """Numbers, and sizes in the place of None, as one list."""
    from openvino import opset14 as ops

    computed = iter(sizes)
    parts = [
        ops.reshape(next(computed), np.array([1]), False)
        if number is None
        else ops.constant(np.array([number], np.int64))
        for number in numbers
    ]
    return ops.concat(parts, 0) if len(parts) > 1 else parts[0]


def sliced(x: Output, axis: int, start: Output, stop: Output, step: int = 1) -> Output:
    """x[start:stop:step] along one dimension; numbers, or lists of one element."""
    from openvino import opset14 as ops

    bounds = [
        ops.constant(np.array([bound], np.int64)) if isinstance(bound, int) else bound
        for bound in (start, stop)
    ]
    return ops.slice(x, *bounds, np.array([step]), np.array([axis]))


def extents(size: Output, begin: int, end: int) -> Output:
    """Some entries of a shape."""
    from openvino import opset14 as ops

    return ops.gather(size, ops.constant(np.arange(begin, end)), ops.constant(0))


def _flatten(op: Flatten, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    rank = len(values[0].shape)
    last = op.end % rank
    if last == rank - 1:  # the usual one: what stands before is kept as it is
        return ops.reshape(operands[0], np.array([0] * op.start + [-1]), True)
    size = ops.shape_of(operands[0])
    parts = [ops.constant(np.array([-1]))]
    if op.start:
        parts.insert(0, extents(size, 0, op.start))
    parts.append(extents(size, last + 1, rank))
    return ops.reshape(operands[0], ops.concat(parts, 0), False)


def _reshape(op: Reshape, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    x, *sizes = operands
    entries = tuple(None if n == COMPUTED else -1 if n == INFER else n for n in op.shape)
    return ops.reshape(x, listed(entries, sizes), True)


def _squeeze(op: Squeeze, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.squeeze(operands[0], np.array(op.axes))


def _unsqueeze(op: Unsqueeze, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.unsqueeze(operands[0], np.array([op.axis]))


def _permute(op: Permute, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.transpose(operands[0], np.array(op.order))


def _slice(op: Slice, operands: Operands, values: Values) -> Output:
    x, *sizes = operands
    start = op.start if op.start is not None else listed((None,), sizes[:1])
    stop = op.stop if op.stop is not None else listed((None,), sizes[-1:])
    return sliced(x, op.axis, start, stop, op.step)


def _take(op: Take, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.gather(operands[0], np.array(op.indices), np.array(op.axis))


def _flip(op: Flip, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    every = np.ones(len(op.axes), np.int64)
    bounds = (-every, BEGINNING * every, -every, np.array(op.axes))
    return ops.slice(operands[0], *(ops.constant(numbers) for numbers in bounds))


def _roll(op: Roll, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.roll(operands[0], np.array(op.shifts), np.array(op.axes))


def _expand(op: Expand, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    x, *sizes = operands
    wanted = tuple(1 if n == KEPT else n for n in op.shape)
    return ops.broadcast(x, listed(wanted, sizes), None, "BIDIRECTIONAL")


def _repeat(op: Repeat, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.tile(operands[0], np.array(op.times))


def _channel_shuffle(op: ChannelShuffle, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.shuffle_channels(operands[0], 1, op.groups)


def _pixel_shuffle(op: PixelShuffle, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.depth_to_space(operands[0], "depth_first", op.factor)


def _pixel_unshuffle(op: PixelUnshuffle, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.space_to_depth(operands[0], "depth_first", op.factor)


def _unfold(op: Unfold, operands: Operands, values: Values) -> Output:
    """One slice for each tap of the window, side by side."""
    from openvino import opset14 as ops

    taps = []
    for i in range(op.kernel[0]):
        rows = _tap(op, operands[0], 0, i)
        for j in range(op.kernel[1]):
            tap = _tap(op, rows, 1, j)
            taps.append(ops.reshape(tap, np.array([0, 0, 1, -1]), True))  # (N, C, 1, L)
    columns = ops.concat(taps, 2)
    count = int(values[0].shape[1]) * len(taps)
    return ops.reshape(columns, np.array([0, count, -1]), True)


def _tap(op: Unfold, x: Output, axis: int, tap: int) -> Output:
    dilation = op.dilation[axis]
    behind = dilation * (op.kernel[axis] - 1 - tap)
    return sliced(x, 2 + axis, dilation * tap, -behind if behind else END, op.stride[axis])


def _amax(op: Amax, operands: Operands, values: Values) -> Output:
    from openvino import opset14 as ops

    return ops.reduce_max(operands[0], np.array(op.axes), op.keep)


def _nearest(op: Nearest, operands: Operands, values: Values) -> Output:
    x, *sizes = operands
    corners, rounding = ("half_pixel", "round_prefer_ceil") if op.exact else ("asymmetric", "floor")
    return resized(x, op.factors, op.size, sizes, "nearest", corners, rounding)


def resized(
    x: Output,
    factors: tuple[float, ...],
    size: Numbers,
    sizes: Operands,
    mode: str,
    coordinates: str,
    rounding: str = "floor",
) -> Output:
    """All dimensions but the first two to another size."""
    from openvino import opset14 as ops

    rank = len(factors or size)
    wanted = ops.constant(np.array(factors, np.float32)) if factors else listed(size, sizes)
    return ops.interpolate(
        x,
        wanted,
        mode,
        "scales" if factors else "sizes",
        [0] * (rank + 2),
        [0] * (rank + 2),
        coordinates,
        rounding,
        axes=ops.constant(np.arange(2, rank + 2)),
    )


def padded(op: Pad | PadWith, x: Output, sizes: Operands, rank: int, fill: float) -> Output:
    """Pad of any kind; `fill` is what a constant puts around x."""
    from openvino import opset14 as ops

    if isinstance(op, Pad) and op.mode == "circular":
        return _circular(op, x, rank)
    computed = iter(sizes)
    given = [next(computed) if amount is None else amount for amount in op.amounts]
    pairs = list(zip(given[::2], given[1::2], strict=True))
    ends = [(0, 0)] * (rank - len(pairs)) + pairs[::-1]
    before, after = (
        listed(
            tuple(end if isinstance(end, int) else None for end in side),
            [end for end in side if not isinstance(end, int)],
        )
        for side in zip(*ends, strict=True)
    )
    if isinstance(op, PadWith) or op.mode == CONSTANT:
        return ops.pad(x, before, after, "constant", ops.constant(np.float32(fill)))
    return ops.pad(x, before, after, "edge" if op.mode == "replicate" else op.mode)


def _circular(op: Pad, x: Output, rank: int) -> Output:
    """The end of x, x, and its beginning, along one dimension after the other."""
    from openvino import opset14 as ops

    for place in range(len(op.amounts) // 2):
        axis = rank - 1 - place
        before, after = op.amounts[2 * place : 2 * place + 2]
        assert before is not None  # `refusal` says so
        assert after is not None
        parts = [x]
        if before:
            parts.insert(0, sliced(x, axis, -before, END))
        if after:
            parts.append(sliced(x, axis, 0, after))
        x = ops.concat(parts, axis) if len(parts) > 1 else x
    return x


FORMS: Mapping[type[Op], Callable[[Any, Operands, Values], Output]] = {
    Flatten: _flatten,
    Reshape: _reshape,
    Squeeze: _squeeze,
    Unsqueeze: _unsqueeze,
    Permute: _permute,
    Slice: _slice,
    Take: _take,
    Flip: _flip,
    Roll: _roll,
    Expand: _expand,
    Repeat: _repeat,
    ChannelShuffle: _channel_shuffle,
    PixelShuffle: _pixel_shuffle,
    PixelUnshuffle: _pixel_unshuffle,
    Unfold: _unfold,
    Amax: _amax,
    Nearest: _nearest,
}
