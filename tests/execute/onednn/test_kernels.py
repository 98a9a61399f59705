"""What the kernels decide beforehand, each decision beside the reference."""

from collections.abc import Callable

import pytest
import torch

from tests.conformance.draft import Case, Draft, Fill, Layout
from tests.conformance.suite import compare
from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.execute.onednn import OneDnn, why_unusable
from zeropoint.execute.onednn.kernels import bind
from zeropoint.execute.reference import Reference
from zeropoint.graph.graph import Node
from zeropoint.graph.op import Op
from zeropoint.graph.value import Value
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Requantize
from zeropoint.ops.shape import KEEP, Flatten, Reshape

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

LAST = torch.channels_last
GRID = per_tensor(0.0173, 100, UINT8)


def check(case: Case) -> None:
    """Both ways to the kernels give what the reference gives, twice: no memory is used up."""
    expected = Reference(case.program).run(case.inputs)
    for executor in (OneDnn(case.program), OneDnn(case.program, direct=False)):
        for _ in range(2):
            assert compare(case, executor.run(case.inputs), expected).worst <= 1


def image(draft: Draft, channels: int = 8, params: QParams = GRID) -> Value:
    return draft.activation((2, channels, 6, 6), params)


def conv(draft: Draft, x: Value, *addend: Value, op: Conv2d | None = None) -> Value:
    """A 3x3 convolution that keeps the shape."""
    return draft.layer(op or Conv2d(padding=(1, 1)), x, (8, 8, 3, 3), GRID, *addend)


def only(case: Case, kind: type[Op]) -> Node:
    """The last node of an operator."""
    return [node for node in case.program.graph.nodes if isinstance(node.op, kind)][-1]


# --- a residual that is needed afterwards --------------------------------------------------------

READERS: dict[str, Callable[[Draft, Value], Value]] = {
    "a convolution": lambda draft, a: conv(draft, a),
    "another residual": lambda draft, a: conv(draft, image(draft), a),
    "an addition": lambda draft, a: draft.emit(Add(), a, a, params=GRID),
    "an average": lambda draft, a: draft.emit(GlobalAveragePool(), a, params=GRID),
    "a flattening": lambda draft, a: draft.emit(Flatten(), a, params=GRID),
    "an island": lambda draft, a: draft.emit(Dequantize(), a),
    "the caller": lambda draft, a: a,
}

OVER_THE_SAME_MEMORY: dict[str, Callable[[Draft, Value], Value]] = {
    "flatten": lambda draft, a: draft.emit(Flatten(), a, params=GRID),
    "flatten pixels": lambda draft, a: draft.emit(Flatten(2), a, params=GRID),
    "reshape": lambda draft, a: draft.emit(Reshape((KEEP, 8, 4, 9)), a, params=GRID),
    "requantize": lambda draft, a: draft.emit(Requantize(), a, params=GRID),
    "clamp": lambda draft, a: draft.emit(Clamp(0.0), a, params=GRID),
    "pad": lambda draft, a: draft.emit(Pad((0, 0)), a, params=GRID),
    "concat": lambda draft, a: draft.emit(Concat(1), a, params=GRID),
    "max pool": lambda draft, a: draft.emit(MaxPool2d((1, 1), (1, 1)), a, params=GRID),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_residual_that_is_needed_afterwards_is_not_overwritten(reader: str) -> None:
    draft = Draft(seed=0)
    addend = conv(draft, image(draft))
    total = conv(draft, image(draft), addend)
    check(draft.case(total, READERS[reader](draft, addend)))


@pytest.mark.parametrize("view", OVER_THE_SAME_MEMORY)
def test_a_view_of_a_residual_keeps_what_it_shows(view: str) -> None:
    # The view is taken before the addition and read after it.
    draft = Draft(seed=0)
    addend = conv(draft, image(draft))
    seen = OVER_THE_SAME_MEMORY[view](draft, addend)
    total = conv(draft, image(draft), addend)
    check(draft.case(total, seen))


def test_a_residual_that_is_also_the_image_is_not_overwritten() -> None:
    draft = Draft(seed=0)
    x = conv(draft, image(draft))
    check(draft.case(conv(draft, x, x)))


def test_a_requantization_to_the_same_grid_is_not_the_operand_itself() -> None:
    draft = Draft(seed=0)
    x = conv(draft, image(draft))
    same = draft.emit(Requantize(), x, params=GRID)
    total = conv(draft, image(draft), same)
    check(draft.case(total, x))


def overwrites(case: Case) -> bool:
    """True if a first call finds that a convolution may write its result onto its addend."""
    executor = OneDnn(case.program)
    executor.run(case.inputs)
    key = tuple((x.shape, x.stride(), x.dtype) for x in case.inputs)
    course = executor._courses.get(key, list)[0]
    assert course is not None  # it is set by the first call
    return bool(course.plan.overwriting)


def test_a_residual_that_nothing_reads_afterwards_is_overwritten() -> None:
    draft = Draft(seed=0)
    addend = conv(draft, image(draft))
    again = conv(draft, addend)
    assert overwrites(draft.case(conv(draft, again, addend)))


def test_a_residual_that_is_read_afterwards_is_copied() -> None:
    draft = Draft(seed=0)
    addend = conv(draft, image(draft))
    total = conv(draft, image(draft), addend)
    case = draft.case(draft.emit(Concat(1), total, addend, params=GRID))
    assert not overwrites(case)


def test_a_residual_may_lie_in_memory_in_any_order() -> None:
    # A reshape leaves the image contiguous; the kernel adds onto channels_last only.
    draft = Draft(seed=0)
    rows = draft.activation((2, 8, 36), GRID)
    square = draft.emit(Reshape((KEEP, 8, 6, 6)), rows, params=GRID)
    addend = draft.emit(Clamp(0.0), square, params=GRID)
    check(draft.case(conv(draft, image(draft), addend)))


# --- activations ---------------------------------------------------------------------------------

BOUNDS = [(None, None), (0.0, None), (0.0, 1.1), (-0.4, 0.7), (None, 0.3), (5.0, None), (2.0, -3.0)]
GRIDS = [
    per_tensor(0.0173, 0, UINT8),
    per_tensor(0.0173, 100, UINT8),
    per_tensor(0.0173, 255, UINT8),
    per_tensor(0.173, 6, IntegerType(4, signed=False)),
]


@pytest.mark.parametrize("grid", GRIDS, ids=["u8:0", "u8:100", "u8:255", "u4:6"])
@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_an_activation_is_the_reference_s_whichever_way_it_is_computed(
    low: float | None, high: float | None, grid: QParams
) -> None:
    draft = Draft(seed=0)
    x = image(draft)
    plain = draft.layer(Conv2d((1, 1), low=low, high=high), x, (8, 8, 3, 3), grid)
    onto = draft.activation((2, 8, 4, 4), grid)
    total = draft.layer(Conv2d((1, 1), low=low, high=high), x, (8, 8, 3, 3), grid, onto)
    rows = draft.emit(Flatten(), x, params=GRID)
    dense = draft.layer(Linear(low, high), rows, (5, 288), grid)
    added = draft.emit(Add(low, high), plain, onto, params=grid)
    # The verifier refuses bounds between which there is no code; the kernels bear them.
    check(draft.case(plain, total, dense, added, verified=False))


# --- a linear layer after a flatten --------------------------------------------------------------


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 1, 1), (2, 4, 3, 5), (1, 3, 1, 7)])
def test_a_linear_layer_meets_the_features_in_their_order(
    shape: tuple[int, ...], layout: Layout
) -> None:
    draft = Draft(0, layout)
    x = draft.activation(shape, GRID)
    features = shape[1] * shape[2] * shape[3]
    flat = draft.emit(Flatten(), x, params=GRID)
    check(draft.case(draft.layer(Linear(), flat, (6, features), None)))


def test_a_flattened_image_that_others_read_too_is_in_its_own_order() -> None:
    draft = Draft(seed=0)
    flat = draft.emit(Flatten(), image(draft), params=GRID)
    dense = draft.layer(Linear(), flat, (6, 288), None)
    again = draft.layer(Linear(), flat, (4, 288), GRID)
    check(draft.case(dense, again, flat))


def test_a_flattened_image_that_is_also_a_result_is_in_its_own_order() -> None:
    draft = Draft(seed=0)
    flat = draft.emit(Flatten(), image(draft), params=GRID)
    dense = draft.layer(Linear(), flat, (6, 288), None)
    check(draft.case(dense, flat))


def test_a_linear_layer_over_the_last_dimension_keeps_the_others() -> None:
    draft = Draft(seed=0)
    x = draft.activation((2, 3, 4, 16), GRID)
    check(draft.case(draft.layer(Linear(), x, (5, 16), GRID)))


# --- grids ---------------------------------------------------------------------------------------


def test_parts_of_a_concatenation_are_moved_even_if_only_their_width_differs() -> None:
    # The same scale and zero point, but the result has 4 bits: codes beyond 15 saturate.
    draft = Draft(seed=0)
    wide = draft.activation((1, 2, 3, 3), per_tensor(0.1, 5, UINT8), Fill.HIGHEST)
    narrow = per_tensor(0.1, 5, IntegerType(4, signed=False))
    case = draft.case(draft.emit(Concat(1), wide, wide, params=narrow))
    (y,) = OneDnn(case.program).run(case.inputs)
    torch.testing.assert_close(y, torch.full((1, 4, 3, 3), 1.0))


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("zero_point", [0, 3, 128, 255])
def test_ties_of_a_requantization_go_where_the_reference_sends_them(
    ratio: float, zero_point: int
) -> None:
    draft = Draft(seed=0)
    x = draft.activation((1, 16, 8, 8), GRID)
    grid = per_tensor(GRID.scale.item() * ratio, zero_point, UINT8)
    case = draft.case(draft.emit(Requantize(), x, params=grid))
    found = OneDnn(case.program).run(case.inputs)
    assert compare(case, found, Reference(case.program).run(case.inputs)).off == 0


# --- memory --------------------------------------------------------------------------------------


def test_images_stay_uint8_in_channels_last() -> None:
    draft = Draft(seed=0)
    x = conv(draft, image(draft))
    pooled = draft.emit(MaxPool2d((3, 3), (2, 2), (1, 1)), x, params=GRID)
    case = draft.case(pooled)
    values = list(case.inputs)
    for node in case.program.graph.nodes[:-1]:
        values = [bind(case.program, node, {})(*values)]
        assert values[0].dtype == torch.uint8
        assert values[0].is_contiguous(memory_format=LAST)


def test_an_accumulator_leaves_the_kernel_as_float32() -> None:
    draft = Draft(seed=0)
    case = draft.case(draft.layer(Conv2d(), image(draft), (4, 8, 3, 3), None))
    kernel = bind(case.program, only(case, Conv2d), {})
    codes = torch.zeros(1, 8, 3, 3, dtype=torch.uint8).contiguous(memory_format=LAST)
    assert kernel(codes).dtype == torch.float32
