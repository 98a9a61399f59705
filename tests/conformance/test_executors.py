"""Every executor on every operator, in the corners of int32, and on whole programs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from tests.conformance.cases import CASES
from tests.conformance.draft import Case, Draft, Fill
from tests.conformance.executors import BY_TORCH, NAMES, maker
from tests.conformance.suite import EXAMPLES, askable, compare, count, operator, run
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import ProgramError, SaturationError
from zeropoint.execute.onednn import OneDnn, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.execute.saturation import first_saturating
from zeropoint.model import QuantizedModel
from zeropoint.ops import OPS
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.dropout import Dropout
from zeropoint.ops.linear import Linear
from zeropoint.ops.pool import GlobalAveragePool, MaxPool2d
from zeropoint.target import saturates

FEWER = {"openvino": 25}
"""Every case is a model that it compiles."""

every_engine = pytest.mark.parametrize("engine", NAMES)


@pytest.mark.parametrize("title", CASES)
@pytest.mark.parametrize("engine", [name for name in NAMES if name != "reference"])
def test_every_executor_gives_what_the_reference_gives(
    engine: str, title: str, record_property: Callable[[str, object], None]
) -> None:
    tally = count(maker(engine), title, FEWER.get(engine, EXAMPLES))
    record_property("tally", str(tally))
    assert tally.agrees, f"{engine}, {title}: {tally}"


def test_no_operator_is_missing_from_the_suite() -> None:
    # No program has a dropout: a pass removes it.
    assert {operator(title) for title in CASES} == OPS.keys() - {Dropout.name}


# --- saturation: every code at its end, every weight at +-127 ------------------------------------


def widest(engine: str) -> IntegerType:
    """The weights that an engine promises to run on this CPU: 8 bits, or 7 where pairs saturate."""
    name = "onednn" if engine == BY_TORCH else engine
    return IntegerType(7, signed=True) if saturates(name) else INT8


def longest_sum(zero_point: int, largest: int) -> int:
    """How many products of the greatest size an int32 holds: 66,311 for z = 0 and 8 bits."""
    return (2**31 - 1) // (max(zero_point, 255 - zero_point) * largest)


def saturated_linear(zero_point: int, x: Fill, weight: Fill, type: IntegerType = INT8) -> Case:
    draft, params = Draft(seed=0), per_tensor(0.003, 0, type)
    features = longest_sum(zero_point, params.high)
    codes = draft.activation((2, features), per_tensor(0.01, zero_point, UINT8), x)
    w = draft.constant("weight", draft.integers((3, features), params, weight), params)
    bias = draft.bias(codes, w, torch.zeros(3))
    return draft.case(draft.emit(Linear(), codes, w, bias, params=bias.params))


@pytest.mark.parametrize("weight", [Fill.LOWEST, Fill.HIGHEST])
@pytest.mark.parametrize("x", [Fill.LOWEST, Fill.HIGHEST])
@pytest.mark.parametrize("zero_point", [0, 128, 255])
@every_engine
def test_the_longest_sum_that_fits_int32_is_exact(
    engine: str, zero_point: int, x: Fill, weight: Fill
) -> None:
    # With z = 128 the sum of q_x q_w alone is beyond int32: it has to wrap around, and back.
    case = saturated_linear(zero_point, x, weight, widest(engine))
    if engine == "openvino" and saturates(engine) and zero_point == 128:
        with pytest.raises(SaturationError, match="leave int32 before it takes off the zero point"):
            maker(engine)(case.program)
        return
    found, expected = run(maker(engine), case), Reference(case.program).run(case.inputs)
    assert compare(case, found, expected).off == 0


def test_one_product_more_than_int32_holds_is_refused() -> None:
    draft = Draft(seed=0)
    x = draft.activation((1, 66_312), per_tensor(0.01, 0, UINT8))
    params = per_tensor(0.003, 0, INT8)
    w = draft.constant("weight", draft.integers((2, 66_312), params, Fill.HIGHEST), params)
    bias = draft.bias(x, w, torch.zeros(2))
    with pytest.raises(ProgramError, match="channel 0 can reach 2147514120, beyond int32"):
        draft.case(draft.emit(Linear(), x, w, bias, params=bias.params))


def test_a_bias_that_leaves_no_room_for_the_sum_is_refused() -> None:
    draft = Draft(seed=0)
    x = draft.activation((1, 1), per_tensor(0.01, 0, UINT8))
    params = per_tensor(0.003, 0, INT8)
    w = draft.constant("weight", torch.tensor([[1], [-2]], dtype=torch.int8), params)
    bias = draft.bias(x, w, torch.tensor([2**31 - 256, -(2**31) + 256]))
    with pytest.raises(ProgramError, match="channel 1 can reach 2147483902, beyond int32"):
        draft.case(draft.emit(Linear(), x, w, bias, params=bias.params))


def many_pairs(weight: Fill, type: IntegerType) -> Case:
    """A convolution whose inputs are all 255."""
    draft, params = Draft(seed=0), per_tensor(0.005, 0, type)
    x = draft.activation((1, 64, 5, 5), per_tensor(0.02, 0, UINT8), Fill.HIGHEST)
    w = draft.constant("weight", draft.integers((16, 64, 3, 3), params, weight), params)
    bias = draft.bias(x, w, torch.zeros(16))
    grid = per_tensor(20.17, 101, UINT8)
    return draft.case(draft.emit(Conv2d(padding=(1, 1)), x, w, bias, params=grid))


@pytest.mark.parametrize("weight", [Fill.LOWEST, Fill.HIGHEST, Fill.EXTREMES])
@every_engine
def test_two_products_do_not_saturate_at_16_bits(engine: str, weight: Fill) -> None:
    case = many_pairs(weight, widest(engine))
    found, expected = run(maker(engine), case), Reference(case.program).run(case.inputs)
    assert compare(case, found, expected).off == 0


@every_engine
def test_what_would_saturate_on_this_cpu_is_refused(engine: str) -> None:
    case = many_pairs(Fill.EXTREMES, INT8)
    if widest(engine) is INT8:
        assert askable(maker(engine), case) is case
        return
    with pytest.raises(SaturationError, match=r"conv2d: this CPU has no VNNI.* 16 of its channels"):
        maker(engine)(case.program)
    assert first_saturating(askable(maker(engine), case).program) is None


# --- whole programs ------------------------------------------------------------------------------


def residual_network() -> Case:
    """Convolution, max pool, convolution with the pool added, average, linear."""
    draft = Draft(seed=0)
    x = draft.activation((4, 3, 12, 12), per_tensor(0.02, 120, UINT8))
    grid = per_tensor(draft.scale() * 100, 0, UINT8)
    first = draft.layer(Conv2d(padding=(1, 1), low=0.0), x, (8, 3, 3, 3), grid)
    pooled = draft.emit(MaxPool2d((3, 3), (2, 2), (1, 1)), first, params=grid)
    wider = per_tensor(draft.scale() * 1000, 130, UINT8)
    sum = draft.layer(Conv2d(padding=(1, 1)), pooled, (8, 8, 3, 3), wider, pooled)
    mean = draft.emit(GlobalAveragePool(keep=False), sum, params=wider)
    return draft.case(draft.layer(Linear(), mean, (10, 8), None))


@every_engine
def test_threads_that_share_an_executor_get_what_one_gets(engine: str) -> None:
    case = askable(maker(engine), residual_network())
    executor = maker(engine)(case.program)
    # Half of the threads see images of another size.
    images = [case.inputs[0][..., : 12 - i % 2] + 0.01 * i for i in range(8)]
    alone = [executor.run([x]) for x in images]

    def ask_often(x: Tensor) -> list[tuple[Tensor, ...]]:
        return [executor.run([x]) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(ask_often, images))
    for (expected,), answers in zip(alone, together, strict=True):
        assert all(torch.equal(answer, expected) for (answer,) in answers)


def test_two_threads_that_call_one_model_get_what_one_gets() -> None:
    case = residual_network()
    if why_unusable() is None:
        case = askable(OneDnn, case)
    model = QuantizedModel(case.program, "auto" if why_unusable() is None else "reference")
    images = [case.inputs[0] + 0.01 * i for i in range(2)]
    alone = [model(x) for x in images]

    def ask_often(x: Tensor) -> list[Tensor]:
        return [model(x) for _ in range(50)]

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(ask_often, images))
    for expected, answers in zip(alone, together, strict=True):
        assert all(torch.equal(answer, expected) for answer in answers)


@every_engine
def test_any_batch_size_gives_each_image_what_it_gets_alone(engine: str) -> None:
    case = askable(maker(engine), residual_network())
    executor = maker(engine)(case.program)
    (batch,) = executor.run(case.inputs)
    for i, image in enumerate(case.inputs[0]):
        (one,) = executor.run([image[None]])
        assert torch.equal(one[0], batch[i])


@every_engine
def test_a_program_needs_no_gradients_and_records_none(engine: str) -> None:
    case = askable(maker(engine), residual_network())
    (y,) = maker(engine)(case.program).run([case.inputs[0].clone().requires_grad_()])
    assert not y.requires_grad
