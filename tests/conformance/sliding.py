"""Cases of windows in one and three dimensions, and of transposed convolutions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from tests.conformance.draft import (
    BATCHES,
    BOUNDS,
    SMALLEST_SPREAD,
    Case,
    Draft,
    Window,
    accumulator,
    activations,
    averages,
    biases,
    drafts,
    images,
    magnitude,
    pools,
    weights,
    windows,
    wishes,
)
from zeropoint.ops.conv import CONVS, Convolution
from zeropoint.ops.conv_transpose import TRANSPOSED, ConvTranspose2d
from zeropoint.ops.pool import (
    ADAPTIVE_POOLS,
    AVERAGE_POOLS,
    MAX_POOLS,
    AdaptiveMaxPool,
)


@composite
def channels(draw: DrawFn) -> tuple[int, int, int]:
    """Groups, and the input and output channels of each."""
    groups = draw(st.sampled_from([1, 1, 2, 3, 8]))
    outputs = draw(st.sampled_from([1, 2, 7, 16] if groups == 1 else [1, 1, 2, 4]))
    return groups, draw(st.sampled_from([1, 1, 2, 5, 16])), outputs


@composite
def convolution(draw: DrawFn, rank: int, *, addend: bool = False, wide: bool = False) -> Case:
    draft, sides = draw(drafts()), [draw(windows()) for _ in range(rank)]
    groups, inputs, outputs = draw(channels())
    shape = (draw(BATCHES), groups * inputs, *(side.length for side in sides))
    op = CONVS[rank](
        stride=tuple(side.stride for side in sides),
        padding=tuple(side.padding for side in sides),
        dilation=tuple(side.dilation for side in sides),
        groups=groups,
    )
    weight = (groups * outputs, inputs, *(side.kernel for side in sides))
    return draw(layer(op, draft, shape, weight, addend=addend, wide=wide))


@composite
def layer(
    draw: DrawFn,
    op: Convolution,
    draft: Draft,
    shape: Sequence[int],
    kernel: Sequence[int],
    *,
    addend: bool,
    wide: bool,
) -> Case:
    x = draw(activations(draft, tuple(shape)))
    weight = draw(weights(draft, tuple(kernel)))
    bias = draw(biases(draft, x, weight))
    if wide:
        return draft.case(draft.emit(op, x, weight, bias, params=accumulator(x, weight, axis=1)))
    result = op.run(*(draft.real[value.name] for value in (x, weight, bias)))
    spread, operands = float(result.abs().max()), [x, weight, bias]
    if addend:
        operands.append(draw(activations(draft, tuple(result.shape))))
        spread = max(spread, magnitude(draft, operands[-1]))
    low, high = draw(BOUNDS).of(spread)
    bounded = replace(op, low=low, high=high)
    return draft.case(draft.emit(bounded, *operands, params=draw(wishes()).grid(draft, spread)))


@composite
def transposed(draw: DrawFn, rank: int, *, wide: bool = False) -> Case:
    """Any stride, padding, dilation, groups and output padding of which something is left."""
    draft, sides = draw(drafts()), [draw(spreads()) for _ in range(rank)]
    groups, inputs, outputs = draw(channels())
    shape = (draw(BATCHES), groups * inputs, *(side.length for side, _ in sides))
    op = TRANSPOSED[rank](
        stride=tuple(side.stride for side, _ in sides),
        padding=tuple(side.padding for side, _ in sides),
        dilation=tuple(side.dilation for side, _ in sides),
        groups=groups,
        output_padding=tuple(more for _, more in sides),
    )
    weight = (groups * outputs, inputs, *(side.kernel for side, _ in sides))
    return draw(layer(op, draft, shape, weight, addend=False, wide=wide))


@composite
def function_of_transposed(draw: DrawFn) -> Case:
    """Results of magnitude 0.3 to 10, and SiLU of them."""
    draft, (batch, channels, *size) = draw(drafts()), draw(images(low=2, high=6))
    op = ConvTranspose2d(stride=(2, 2))
    x = draw(activations(draft, (batch, channels, *size)))
    weight = draft.sized(x, (draw(st.sampled_from([1, 3, 16])), channels, 2, 2), op)
    operands = [x, weight, draw(biases(draft, x, weight))]
    op = replace(op, function=(("silu", "x"),))
    largest = op.run(*(draft.real[value.name] for value in operands)).abs().max()
    spread = max(float(largest), SMALLEST_SPREAD)
    return draft.case(draft.emit(op, *operands, params=draw(wishes()).grid(draft, spread)))


@composite
def spreads(draw: DrawFn) -> tuple[Window, int]:
    """One dimension of a transposed convolution, and its output padding."""
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    dilation = draw(st.sampled_from([1, 1, 1, 2]))
    more = draw(st.integers(0, stride - 1))  # torch takes one of less than the dilation, too
    padding, length = draw(st.integers(0, 2)), draw(st.integers(1, 6))
    while (length - 1) * stride - 2 * padding + dilation * (kernel - 1) + more + 1 < 1:
        length += 1
    return Window(kernel, stride, padding, dilation, length), more


@composite
def max_pool(draw: DrawFn, rank: int) -> Case:
    draft, sides = draw(drafts()), [draw(pools(longest_dilation=2)) for _ in range(rank)]
    shape = (draw(BATCHES), draw(st.integers(1, 9)), *(side.length for side in sides))
    x = draw(activations(draft, shape))
    op = MAX_POOLS[rank](
        kernel=tuple(side.kernel for side in sides),
        stride=tuple(side.stride for side in sides),
        padding=tuple(side.padding for side in sides),
        dilation=tuple(side.dilation for side in sides),
        ceil_mode=draw(st.booleans()),
    )
    return draft.case(draft.emit(op, x, params=x.params))


@composite
def average_pool(draw: DrawFn, rank: int) -> Case:
    sides = [draw(pools(longest_dilation=1)) for _ in range(rank)]
    # In three dimensions torch does not count the padding before it refuses a window.
    lengths = (max(side.length, side.kernel) if rank == 3 else side.length for side in sides)
    shape = (draw(BATCHES), draw(st.integers(1, 9)), *lengths)
    op = AVERAGE_POOLS[rank](
        kernel=tuple(side.kernel for side in sides),
        stride=tuple(side.stride for side in sides),
        padding=tuple(side.padding for side in sides),
        ceil_mode=draw(st.booleans()),
        count_include_pad=draw(st.booleans()),
    )
    return draw(averages(op, shape))


@composite
def adaptive_average_pool(draw: DrawFn, rank: int) -> Case:
    sizes = st.one_of(st.none(), st.integers(1, 5))
    op = ADAPTIVE_POOLS[rank](tuple(draw(sizes) for _ in range(rank)))
    lengths = (draw(st.integers(1, 9)) for _ in range(rank))
    return draw(averages(op, (draw(BATCHES), draw(st.integers(1, 9)), *lengths)))


@composite
def adaptive_max_pool(draw: DrawFn) -> Case:
    draft, rank = draw(drafts()), draw(st.integers(1, 3))
    lengths = (draw(st.integers(1, 9)) for _ in range(rank))
    x = draw(activations(draft, (draw(BATCHES), draw(st.integers(1, 9)), *lengths)))
    sizes = st.one_of(st.none(), st.integers(1, 5))
    op = AdaptiveMaxPool(tuple(draw(sizes) for _ in range(rank)))
    return draft.case(draft.emit(op, x, params=x.params))


CASES: Mapping[str, SearchStrategy[Case]] = {
    "conv1d": convolution(1),
    "conv1d, addend": convolution(1, addend=True),
    "conv1d, leaving as float32": convolution(1, wide=True),
    "conv3d": convolution(3),
    "conv3d, addend": convolution(3, addend=True),
    "conv_transpose1d": transposed(1),
    "conv_transpose2d": transposed(2),
    "conv_transpose2d, with a function": function_of_transposed(),
    "conv_transpose2d, leaving as float32": transposed(2, wide=True),
    "conv_transpose3d": transposed(3),
    "max_pool1d": max_pool(1),
    "max_pool3d": max_pool(3),
    "adaptive_max_pool": adaptive_max_pool(),
    "average_pool1d": average_pool(1),
    "average_pool3d": average_pool(3),
    "adaptive_average_pool1d": adaptive_average_pool(1),
    "adaptive_average_pool3d": adaptive_average_pool(3),
}
