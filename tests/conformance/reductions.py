"""Cases of reductions, interpolations and products of matrices."""

from collections.abc import Mapping

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from tests.conformance.draft import (
    BATCHES,
    Case,
    activations,
    averages,
    drafts,
    images,
    magnitude,
    wishes,
)
from tests.conformance.draft import accumulator as accumulator_of
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.reduce import Amax, Mean, Sum
from zeropoint.ops.shape import SizeOf
from zeropoint.ops.upsample import Interpolate

AXES = st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True)


@composite
def mean(draw: DrawFn) -> Case:
    """Over any dimensions, and over all of a line or a volume."""
    rank, keep = draw(st.sampled_from([2, 2, 1, 3])), draw(st.booleans())
    batch, channels, *_ = draw(images())
    shape = (batch, channels, *(draw(st.integers(1, 7)) for _ in range(rank)))
    axes = draw(AXES) if rank == 2 else range(2, rank + 2)
    return draw(averages(Mean(tuple(sorted(axes)), keep), shape))


@composite
def sum_(draw: DrawFn) -> Case:
    return draw(averages(Sum(tuple(sorted(draw(AXES))), draw(st.booleans())), draw(images())))


@composite
def amax(draw: DrawFn) -> Case:
    draft = draw(drafts())
    x = draw(activations(draft, draw(images())))
    op = Amax(tuple(sorted(draw(AXES))), draw(st.booleans()))
    return draft.case(draft.emit(op, x, params=x.params))


@composite
def interpolate(draw: DrawFn) -> Case:
    rank, align = draw(st.sampled_from([2, 2, 1, 3])), draw(st.booleans())
    shape = (*draw(images())[:2], *(draw(st.integers(1, 7)) for _ in range(rank)))
    if draw(st.booleans()):
        factors = tuple(draw(st.sampled_from([1.0, 2.0, 2.0, 4.0, 3.0, 1.5])) for _ in range(rank))
        return draw(averages(Interpolate((), factors, align), shape))
    size = tuple(draw(st.integers(1, 9)) for _ in range(rank))
    return draw(averages(Interpolate(size, (), align), shape))


@composite
def interpolate_to_computed(draw: DrawFn) -> Case:
    """An image as large as another, of twice its size or of any."""
    draft, shape = draw(drafts()), draw(images())
    larger = [draw(st.sampled_from([2 * n, n + 1])) for n in shape[2:]]
    large = draw(activations(draft, (*shape[:2], *larger)))
    small = draw(activations(draft, shape))
    sizes = [draft.size(SizeOf(axis), large) for axis in (2, 3)]
    grid = draw(wishes()).grid(draft, magnitude(draft, small))
    return draft.case(draft.emit(Interpolate((None, None)), small, *sizes, params=grid), large)


@composite
def matmul(draw: DrawFn, *, wide: bool = False) -> Case:
    draft, batch = draw(drafts()), draw(BATCHES)
    middle = draw(st.sampled_from([(), (3,), (2, 3)]))
    rows, length, columns = (draw(st.sampled_from([1, 2, 5, 16, 33])) for _ in range(3))
    a = draw(activations(draft, (batch, *middle, rows, length)))
    b = draw(activations(draft, (batch, *middle, length, columns)))
    op = MatMul()
    if wide:
        return draft.case(draft.emit(op, a, b, params=accumulator_of(a, b, axis=0)))
    spread = float(op.run(draft.real[a.name], draft.real[b.name]).abs().max())
    return draft.case(draft.emit(op, a, b, params=draw(wishes()).grid(draft, spread)))


CASES: Mapping[str, SearchStrategy[Case]] = {
    "mean": mean(),
    "sum": sum_(),
    "amax": amax(),
    "interpolate": interpolate(),
    "interpolate, to a computed size": interpolate_to_computed(),
    "matmul": matmul(),
    "matmul, leaving as float32": matmul(wide=True),
}
