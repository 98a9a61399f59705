"""Cases of operators that only move elements."""

from collections.abc import Mapping

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from tests.conformance.draft import (
    Case,
    activations,
    drafts,
    images,
    magnitude,
    wishes,
)
from zeropoint.graph.op import Op
from zeropoint.ops.expand import KEPT, Expand, Repeat
from zeropoint.ops.order import Flip, Roll, Take
from zeropoint.ops.pad import MODES, Pad, PadWith
from zeropoint.ops.permute import Permute
from zeropoint.ops.shape import SizeArithmetic, SizeOf, Squeeze, Unsqueeze
from zeropoint.ops.shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle, Unfold
from zeropoint.ops.slice import END, Slice
from zeropoint.ops.upsample import Nearest

AXES = st.sampled_from([1, 2, 3])


@composite
def moved(draw: DrawFn, op: Op, shape: tuple[int, ...]) -> Case:
    """The operator on a quantized input of that shape."""
    draft = draw(drafts())
    x = draw(activations(draft, shape))
    return draft.case(draft.emit(op, x, params=x.params))


@composite
def permute(draw: DrawFn) -> Case:
    order = (0, *draw(st.permutations([1, 2, 3])))
    return draw(moved(Permute(order), draw(images())))


@composite
def slice_(draw: DrawFn) -> Case:
    shape, axis = draw(images()), draw(AXES)
    start = draw(st.integers(0, shape[axis] - 1))
    stop = draw(st.one_of(st.just(END), st.integers(start + 1, shape[axis])))
    backwards = draw(st.booleans())
    first = start - shape[axis] if backwards else start
    return draw(moved(Slice(axis, first, stop, draw(st.integers(1, 3))), shape))


@composite
def computed_slice(draw: DrawFn) -> Case:
    """x[:, :, : h // 2 + 1], of a height that only the run knows."""
    draft = draw(drafts())
    x = draw(activations(draft, draw(images())))
    height = draft.size(SizeOf(2), x)
    half = draft.size(SizeArithmetic("floordiv", (None, 2)), height)
    stop = draft.size(SizeArithmetic("add", (None, 1)), half)
    return draft.case(draft.emit(Slice(2, 0, None), x, stop, params=x.params))


@composite
def take(draw: DrawFn) -> Case:
    shape, axis = draw(images()), draw(AXES)
    entries = st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=9)
    return draw(moved(Take(axis, tuple(draw(entries))), shape))


@composite
def flip(draw: DrawFn) -> Case:
    axes = draw(st.lists(AXES, min_size=1, max_size=3, unique=True))
    return draw(moved(Flip(tuple(axes)), draw(images())))


@composite
def roll(draw: DrawFn) -> Case:
    axes = draw(st.lists(AXES, min_size=1, max_size=3, unique=True))
    shifts = [draw(st.integers(-15, 15)) for _ in axes]
    return draw(moved(Roll(tuple(shifts), tuple(axes)), draw(images())))


@composite
def expand(draw: DrawFn) -> Case:
    shape = list(draw(images()))
    wanted: list[int | None] = [KEPT] * 4
    for axis in draw(st.lists(AXES, min_size=1, max_size=2, unique=True)):
        shape[axis], wanted[axis] = 1, draw(st.integers(1, 6))
    return draw(moved(Expand(tuple(wanted)), tuple(shape)))


@composite
def expand_to_computed(draw: DrawFn) -> Case:
    """A gate (N, C, 1, 1) as wide as an image."""
    draft, shape = draw(drafts()), draw(images())
    image = draw(activations(draft, shape))
    gate = draw(activations(draft, (*shape[:2], 1, 1)))
    sizes = [draft.size(SizeOf(axis), image) for axis in (2, 3)]
    wide = draft.emit(Expand((KEPT, KEPT, None, None)), gate, *sizes, params=gate.params)
    return draft.case(wide, image)


@composite
def repeat(draw: DrawFn) -> Case:
    times = (1, *(draw(st.integers(1, 3)) for _ in range(3)))
    return draw(moved(Repeat(times), draw(images(high=6))))


@composite
def squeeze(draw: DrawFn) -> Case:
    axes = sorted(draw(st.lists(AXES, min_size=1, max_size=3, unique=True)))
    shape = [1 if axis in axes else n for axis, n in enumerate(draw(images()))]
    return draw(moved(Squeeze(tuple(axes)), tuple(shape)))


@composite
def unsqueeze(draw: DrawFn) -> Case:
    return draw(moved(Unsqueeze(draw(st.integers(1, 4))), draw(images())))


@composite
def channel_shuffle(draw: DrawFn) -> Case:
    (batch, _, *size), groups = draw(images()), draw(st.integers(1, 4))
    channels = groups * draw(st.integers(1, 6))
    return draw(moved(ChannelShuffle(groups), (batch, channels, *size)))


@composite
def pixel_shuffle(draw: DrawFn) -> Case:
    (batch, channels, *size), factor = draw(images(high=6)), draw(st.integers(1, 3))
    return draw(moved(PixelShuffle(factor), (batch, channels * factor**2, *size)))


@composite
def pixel_unshuffle(draw: DrawFn) -> Case:
    (batch, channels, height, width), factor = draw(images(high=6)), draw(st.integers(1, 3))
    shape = (batch, channels, height * factor, width * factor)
    return draw(moved(PixelUnshuffle(factor), shape))


@composite
def unfold(draw: DrawFn) -> Case:
    shape = draw(images(low=5))
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    dilations = st.tuples(st.integers(1, 2), st.integers(1, 2))
    return draw(moved(Unfold(draw(pairs), draw(pairs), draw(dilations)), shape))


@composite
def pad(draw: DrawFn) -> Case:
    """Any mode, in one to three dimensions, as far as torch goes; a negative amount crops."""
    rank, mode = draw(st.integers(1, 3)), draw(st.sampled_from(MODES))
    batch, channels, *_ = draw(images())
    sizes = [draw(st.integers(4, 7)) for _ in range(rank)]
    least = -1 if mode == "constant" else 0
    amounts = tuple(draw(st.integers(least, 3)) for _ in range(2 * rank))
    value = draw(st.sampled_from([0.0, 0.0, float("inf"), -float("inf")]))
    op = Pad(amounts, mode, value if mode == "constant" else 0.0)
    return draw(moved(op, (batch, channels, *sizes)))


@composite
def computed_pad(draw: DrawFn) -> Case:
    """The smaller of two images, padded to the height of the larger."""
    draft, (batch, channels, height, width) = draw(drafts()), draw(images())
    small = draw(activations(draft, (batch, channels, height, width)))
    large = draw(activations(draft, (batch, channels, height + draw(st.integers(0, 4)), width)))
    both = [draft.size(SizeOf(2), x) for x in (large, small)]
    rest = draft.size(SizeArithmetic("sub", (None, None)), *both)
    padded = draft.emit(Pad((0, 0, 1, None)), small, rest, params=small.params)
    return draft.case(padded, large)


@composite
def pad_with(draw: DrawFn) -> Case:
    draft, amounts = draw(drafts()), draw(st.tuples(*[st.integers(0, 3)] * 4))
    x = draw(activations(draft, draw(images())))
    spread = magnitude(draft, x)
    op = PadWith(amounts, draw(st.sampled_from([-0.7, 0.31, 1.4])) * spread)
    return draft.case(draft.emit(op, x, params=draw(wishes()).grid(draft, spread)))


@composite
def nearest(draw: DrawFn) -> Case:
    rank, exact = draw(st.integers(1, 3)), draw(st.booleans())
    shape = (*draw(images())[:2], *(draw(st.integers(1, 6)) for _ in range(rank)))
    if draw(st.booleans()):
        factors = tuple(draw(st.sampled_from([1.0, 2.0, 3.0, 1.5])) for _ in range(rank))
        return draw(moved(Nearest(factors=factors, exact=exact), shape))
    size = tuple(draw(st.integers(1, 9)) for _ in range(rank))
    return draw(moved(Nearest(size, exact=exact), shape))


@composite
def nearest_to_computed(draw: DrawFn) -> Case:
    """An image as large as another."""
    draft, shape = draw(drafts()), draw(images())
    large = draw(activations(draft, shape))
    small = draw(activations(draft, (*shape[:2], *(-(-n // 2) for n in shape[2:]))))
    sizes = [draft.size(SizeOf(axis), large) for axis in (2, 3)]
    op = Nearest((None, None))
    return draft.case(draft.emit(op, small, *sizes, params=small.params), large)


CASES: Mapping[str, SearchStrategy[Case]] = {
    "permute": permute(),
    "slice": slice_(),
    "slice, to a computed size": computed_slice(),
    "take": take(),
    "flip": flip(),
    "roll": roll(),
    "expand": expand(),
    "expand, to a computed size": expand_to_computed(),
    "repeat": repeat(),
    "squeeze": squeeze(),
    "unsqueeze": unsqueeze(),
    "channel_shuffle": channel_shuffle(),
    "pixel_shuffle": pixel_shuffle(),
    "pixel_unshuffle": pixel_unshuffle(),
    "unfold": unfold(),
    "pad, of any kind": pad(),
    "pad, to a computed size": computed_pad(),
    "pad_with": pad_with(),
    "nearest": nearest(),
    "nearest, to a computed size": nearest_to_computed(),
}
