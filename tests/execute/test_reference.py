"""The reference executor, beside numbers that were computed by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conformance.draft import Case, Draft
from zeropoint.arithmetic.integer import INT8, INT32, UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import FixedPoint, Float32
from zeropoint.errors import ProgramError
from zeropoint.execute.reference import Reference
from zeropoint.graph.build import Builder
from zeropoint.graph.value import Quantized
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.program.program import Program


def by_hand() -> Case:
    """Two features, three outputs: s_x = 0.5, z_x = 10, s_w = 0.25, s_y = 0.5, z_y = 3."""
    draft = Draft(seed=0)
    x = draft.activation((1, 2), per_tensor(0.5, 10, UINT8))
    w = torch.tensor([[1, 2], [-3, 4], [0, 127]], dtype=torch.int8)
    weight = draft.constant("weight", w, per_tensor(0.25, 0, INT8))
    bias = draft.bias(x, weight, torch.tensor([5, -6, 0]))
    y = draft.emit(Linear(low=-0.5), x, weight, bias, params=per_tensor(0.5, 3, UINT8))
    return draft.case(y)


X = torch.tensor([[2.0, -1.5]])  # codes 14 and 7; centred 4 and -3


def trace(case: Case, reference: Reference, x: Tensor) -> dict[str, Any]:  # as a listener hears it
    seen: dict[str, Any] = {}
    reference.trace([x], seen.__setitem__)
    return seen


def test_every_value_of_a_run_is_the_integer_that_the_equations_give() -> None:
    # acc = (4 - 6 + 5, -12 - 12 - 6, -381) = (3, -30, -381), M = 0.25
    # M acc = (0.75, -7.5, -95.25), rounded (1, -8, -95), from below at -0.5 / 0.5 = -1 step
    seen = trace(by_hand(), Reference(by_hand().program), X)
    assert seen["x1"] is not None
    assert seen["quantize"].tolist() == [[14, 7]]
    assert seen["quantize"].dtype == torch.uint8
    assert seen["linear"].tolist() == [[4, 2, 2]]
    assert seen["linear"].dtype == torch.uint8
    assert seen["dequantize"].tolist() == [[0.5, -0.5, -0.5]]


def test_a_listener_hears_each_value_once_and_in_order() -> None:
    heard: list[str] = []
    case = by_hand()
    Reference(case.program).trace([X], lambda name, _: heard.append(name))
    assert heard == ["x1", "quantize", "linear", "dequantize"]


def test_a_run_returns_what_a_trace_ends_with() -> None:
    case = by_hand()
    (y,) = Reference(case.program).run([X])
    assert torch.equal(y, trace(case, Reference(case.program), X)["dequantize"])


def test_the_default_profile_is_float32() -> None:
    case = by_hand()
    (default,) = Reference(case.program).run([X])
    (float32,) = Reference(case.program, Float32()).run([X])
    assert torch.equal(default, float32)


@pytest.mark.parametrize(
    ("x", "float32", "single", "double"),
    [
        # acc = x + 5 for the first output, M = 0.25: ties at acc = 2 (0.5) and acc = 6 (1.5).
        ([-1.5, 0.0], 0, 1, 1),
        ([0.5, 0.0], 2, 2, 2),
        ([-5.5, 0.0], -2, -1, -2),
    ],
)
def test_profiles_differ_by_how_they_round_halves(
    x: list[float], float32: int, single: int, double: int
) -> None:
    case = unbounded()
    for arithmetic, step in (
        (Float32(), float32),
        (FixedPoint("single"), single),
        (FixedPoint("double"), double),
    ):
        (y,) = Reference(case.program, arithmetic).run([torch.tensor([x])])
        assert y[0, 0].item() == 0.5 * step


def unbounded() -> Case:
    draft = Draft(seed=0)
    x = draft.activation((1, 2), per_tensor(0.5, 20, UINT8))
    params = per_tensor(0.25, 0, INT8)
    weight = draft.constant("weight", torch.tensor([[1, 0]], dtype=torch.int8), params)
    bias = draft.bias(x, weight, torch.tensor([5]))
    return draft.case(draft.emit(Linear(), x, weight, bias, params=per_tensor(0.5, 100, UINT8)))


def test_an_island_between_integers_runs_in_float() -> None:
    draft = Draft(seed=0)
    grid = per_tensor(0.25, 100, UINT8)
    x = draft.emit(Dequantize(), draft.activation((1, 3), grid))
    y = draft.emit(Opaque("aten.neg.default", (("%", 0),)), x)
    case = draft.case(draft.emit(Quantize(), y, params=grid), islands={y.name: "an island"})
    seen = trace(case, Reference(case.program), torch.tensor([[-1.0, 0.0, 2.25]]))
    assert seen["quantize"].tolist() == [[96, 100, 109]]
    assert seen["quantize:2"].tolist() == [[104, 100, 91]]


def test_an_accumulator_that_leaves_int32_is_an_error_if_nobody_verified() -> None:
    to = Builder()
    x = to.input("x", ("N", 70_000))
    params = per_tensor(1.0, 0, UINT8)
    q = to.emit(Quantize(), x, shape=x.shape, type=Quantized(params))
    one, wide = per_tensor(1.0, 0, INT8), per_tensor(1.0, 0, INT32)
    weight = to.constant("w", torch.full((1, 70_000), 127, dtype=torch.int8), Quantized(one))
    bias = to.constant("b", torch.zeros(1, dtype=torch.int32), Quantized(wide))
    y = to.emit(Linear(), q, weight, bias, shape=("N", 1), type=Quantized(wide))
    program = Program(to.done([y]), {})
    with pytest.raises(ProgramError, match="a sum reaches 2,266,950,000, beyond int32"):
        Reference(program).run([torch.full((1, 70_000), 255.0)])


def test_gradients_are_not_recorded() -> None:
    case = by_hand()
    (y,) = Reference(case.program).run([X.clone().requires_grad_()])
    assert not y.requires_grad


def test_per_channel_accumulators_leave_at_the_scale_of_their_channel() -> None:
    draft = Draft(seed=0)
    x = draft.activation((1, 2), per_tensor(0.5, 10, UINT8))
    scale = torch.tensor([0.25, 0.5])
    params = QParams(scale, torch.zeros(2, dtype=torch.int32), INT8, axis=0)
    weight = draft.constant("weight", torch.tensor([[1, 2], [1, 2]], dtype=torch.int8), params)
    bias = draft.bias(x, weight, torch.tensor([5, 5]))
    wide = QParams(0.5 * scale, torch.zeros(2, dtype=torch.int32), INT32, axis=1)
    case = draft.case(draft.emit(Linear(), x, weight, bias, params=wide))
    (y,) = Reference(case.program).run([X])
    assert y.tolist() == [[3 * 0.125, 3 * 0.25]]
