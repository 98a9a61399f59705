"""What only moves elements, in ONNX: the same for integers and for real numbers."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.export.onnx.sizes import flattened, reshaped, size_of
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape
from zeropoint.ops.expand import KEPT, Expand, Repeat
from zeropoint.ops.movement import Numbers
from zeropoint.ops.order import Flip, Roll, Take
from zeropoint.ops.pad import CONSTANT, Pad, PadWith
from zeropoint.ops.permute import Permute
from zeropoint.ops.reduce import Amax
from zeropoint.ops.shape import Flatten, Reshape, Squeeze, Unsqueeze
from zeropoint.ops.shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle, Unfold
from zeropoint.ops.slice import END, Slice
from zeropoint.ops.upsample import Nearest

BEGINNING = -(2**63)
"""Before the first element, for a slice that goes backwards."""

AXES_ARE_OPERAND = 18
"""From this opset on ReduceMax reads its axes."""

Sizes = Sequence[str]


def moved(sheet: Sheet, op: Op, x: str, shape: Shape, sizes: Sizes) -> str:
    """The operator on a tensor of any type; `sizes` are lists of one element."""
    return FORMS[type(op)](sheet, op, x, shape, sizes)


def listed(sheet: Sheet, numbers: Numbers, sizes: Sizes) -> str:
    """Numbers, and sizes in the place of None, as one list."""
    computed = iter(sizes)
    if None not in numbers:
        return sheet.integers([n for n in numbers if n is not None])
    parts = [next(computed) if n is None else sheet.integers([n]) for n in numbers]
    return sheet.emit("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]


def sliced(sheet: Sheet, x: str, axis: int, start: str, stop: str, step: int = 1) -> str:
    """x[start:stop:step] along one dimension."""
    axes, steps = sheet.integers([axis]), sheet.integers([step])
    return sheet.emit("Slice", x, start, stop, axes, steps)


def _flatten(sheet: Sheet, op: Flatten, x: str, shape: Shape, sizes: Sizes) -> str:
    return flattened(sheet, op, x, shape)


def _reshape(sheet: Sheet, op: Reshape, x: str, shape: Shape, sizes: Sizes) -> str:
    return reshaped(sheet, op, x, sizes)


def _squeeze(sheet: Sheet, op: Squeeze, x: str, shape: Shape, sizes: Sizes) -> str:
    return sheet.emit("Squeeze", x, sheet.integers(op.axes))


def _unsqueeze(sheet: Sheet, op: Unsqueeze, x: str, shape: Shape, sizes: Sizes) -> str:
    return sheet.emit("Unsqueeze", x, sheet.integers([op.axis]))


def _permute(sheet: Sheet, op: Permute, x: str, shape: Shape, sizes: Sizes) -> str:
    return sheet.emit("Transpose", x, perm=op.order)


def _slice(sheet: Sheet, op: Slice, x: str, shape: Shape, sizes: Sizes) -> str:
    computed = list(sizes)
    start = computed.pop(0) if op.start is None else sheet.integers([op.start])
    stop = computed.pop(0) if op.stop is None else sheet.integers([op.stop])
    return sliced(sheet, x, op.axis, start, stop, op.step)


def _take(sheet: Sheet, op: Take, x: str, shape: Shape, sizes: Sizes) -> str:
    return sheet.emit("Gather", x, sheet.integers(op.indices), axis=op.axis)


def _flip(sheet: Sheet, op: Flip, x: str, shape: Shape, sizes: Sizes) -> str:
    every = len(op.axes)
    bounds = ([-1] * every, [BEGINNING] * every, op.axes, [-1] * every)
    return sheet.emit("Slice", x, *(sheet.integers(numbers) for numbers in bounds))


def _roll(sheet: Sheet, op: Roll, x: str, shape: Shape, sizes: Sizes) -> str:
    for shift, axis in zip(op.shifts, op.axes, strict=True):
        extent = shape[axis]
        if isinstance(extent, int):
            first = sheet.integers([-shift % extent])
        else:
            first = sheet.emit("Mod", sheet.integers([-shift]), size_of(sheet, x, axis))
        behind = sliced(sheet, x, axis, first, sheet.integers([END]))
        before = sliced(sheet, x, axis, sheet.integers([0]), first)
        x = sheet.emit("Concat", behind, before, axis=axis)
    return x


def _expand(sheet: Sheet, op: Expand, x: str, shape: Shape, sizes: Sizes) -> str:
    wanted = tuple(1 if n == KEPT else n for n in op.shape)
    return sheet.emit("Expand", x, listed(sheet, wanted, sizes))


def _repeat(sheet: Sheet, op: Repeat, x: str, shape: Shape, sizes: Sizes) -> str:
    missing = len(op.times) - len(shape)
    if missing:
        x = sheet.emit("Unsqueeze", x, sheet.integers(range(missing)))
    return sheet.emit("Tile", x, sheet.integers(op.times))


def _channel_shuffle(sheet: Sheet, op: ChannelShuffle, x: str, shape: Shape, sizes: Sizes) -> str:
    order = np.arange(_channels(shape)).reshape(op.groups, -1).T.flatten()
    return sheet.emit("Gather", x, sheet.integers(order.tolist()), axis=1)


def _pixel_shuffle(sheet: Sheet, op: PixelShuffle, x: str, shape: Shape, sizes: Sizes) -> str:
    return sheet.emit("DepthToSpace", x, blocksize=op.factor, mode="CRD")


def _pixel_unshuffle(sheet: Sheet, op: PixelUnshuffle, x: str, shape: Shape, sizes: Sizes) -> str:
    """ONNX puts the pixels of a block before the channels, torch behind them."""
    deep = sheet.emit("SpaceToDepth", x, blocksize=op.factor)
    order = np.arange(_channels(shape) * op.factor**2).reshape(op.factor**2, -1).T.flatten()
    return sheet.emit("Gather", deep, sheet.integers(order.tolist()), axis=1)


def _channels(shape: Shape) -> int:
    if not isinstance(shape[1], int):
        raise Refusal("channels of which only the run knows the number")
    return shape[1]


def _unfold(sheet: Sheet, op: Unfold, x: str, shape: Shape, sizes: Sizes) -> str:
    """One slice for each tap of the window, side by side."""
    taps = []
    for i in range(op.kernel[0]):
        rows = _tap(sheet, op, x, 0, i)
        for j in range(op.kernel[1]):
            tap = _tap(sheet, op, rows, 1, j)
            line = sheet.emit("Reshape", tap, sheet.integers([0, 0, 1, -1]))  # (N, C, 1, L)
            taps.append(line)
    columns = sheet.emit("Concat", *taps, axis=2)
    return sheet.emit("Reshape", columns, sheet.integers([0, _channels(shape) * len(taps), -1]))


def _tap(sheet: Sheet, op: Unfold, x: str, axis: int, tap: int) -> str:
    dilation = op.dilation[axis]
    behind = dilation * (op.kernel[axis] - 1 - tap)
    start, stop = sheet.integers([dilation * tap]), sheet.integers([-behind if behind else END])
    return sliced(sheet, x, 2 + axis, start, stop, op.stride[axis])


def _amax(sheet: Sheet, op: Amax, x: str, shape: Shape, sizes: Sizes) -> str:
    if sheet.opset >= AXES_ARE_OPERAND:
        return sheet.emit("ReduceMax", x, sheet.integers(op.axes), keepdims=int(op.keep))
    return sheet.emit("ReduceMax", x, axes=op.axes, keepdims=int(op.keep))


def _nearest(sheet: Sheet, op: Nearest, x: str, shape: Shape, sizes: Sizes) -> str:
    how: dict[str, str] = {"mode": "nearest"}
    if op.exact:
        how |= {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}
    else:
        how |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return resized(sheet, x, op.factors, op.size, sizes, how)


def resized(
    sheet: Sheet,
    x: str,
    factors: tuple[float, ...],
    size: Numbers,
    sizes: Sizes,
    how: Mapping[str, str],
) -> str:
    """Resize of all dimensions but the first two."""
    if factors:
        scales = np.asarray([1.0, 1.0, *factors], np.float32)
        return sheet.emit("Resize", x, "", sheet.constant(f"{sheet.hint}.scales", scales), **how)
    kept = [size_of(sheet, x, axis) for axis in (0, 1)]
    wanted = sheet.emit("Concat", *kept, listed(sheet, size, sizes), axis=0)
    return sheet.emit("Resize", x, "", "", wanted, **how)


def padded(sheet: Sheet, op: Pad | PadWith, x: str, shape: Shape, sizes: Sizes, fill: str) -> str:
    """Pad of any kind; `fill` is the element that a constant puts around x."""
    if isinstance(op, Pad) and op.mode == "circular":
        return _circular(sheet, op, x, shape)
    rank, count = len(shape), len(op.amounts) // 2
    pairs = [(0, 0)] * (rank - count)
    computed = iter(sizes)
    given = [next(computed) if amount is None else amount for amount in op.amounts]
    ends = [*pairs, *reversed(list(zip(given[::2], given[1::2], strict=True)))]
    flat = [before for before, _ in ends] + [after for _, after in ends]
    names = [end for end in flat if isinstance(end, str)]
    amounts = listed(sheet, tuple(None if isinstance(end, str) else end for end in flat), names)
    if isinstance(op, PadWith) or op.mode == CONSTANT:
        return sheet.emit("Pad", x, amounts, fill)
    return sheet.emit("Pad", x, amounts, mode="edge" if op.mode == "replicate" else op.mode)


def _circular(sheet: Sheet, op: Pad, x: str, shape: Shape) -> str:
    """The end of x, x, and its beginning, along one dimension after the other."""
    for place in range(len(op.amounts) // 2):
        axis = len(shape) - 1 - place
        before, after = op.amounts[2 * place : 2 * place + 2]
        if before is None or after is None:
            raise Refusal("circular padding by amounts that only the run knows")
        parts = [x]
        if before:
            end = sheet.integers([END])
            parts.insert(0, sliced(sheet, x, axis, sheet.integers([-before]), end))
        if after:
            parts.append(sliced(sheet, x, axis, sheet.integers([0]), sheet.integers([after])))
        x = sheet.emit("Concat", *parts, axis=axis) if len(parts) > 1 else x
    return x


Form = Callable[..., str]  # (sheet, op, x, shape, sizes) -> the result
FORMS: Mapping[type[Op], Form] = {
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
