"""Slots, steps and refusals of the onednn executor."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.conformance.cases import Case, Draft
from tests.conformance.suite import compare
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import EngineError
from zeropoint.execute.onednn import OneDnn, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pool import GlobalAveragePool
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.shape import Flatten
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

GRID = per_tensor(0.0173, 100, UINT8)


def check(case: Case) -> None:
    expected = Reference(case.program).run(case.inputs)
    assert compare(case, OneDnn(case.program).run(case.inputs), expected).worst <= 1


# --- what it refuses -----------------------------------------------------------------------------


def test_weights_with_a_zero_point_are_refused() -> None:
    draft = Draft(seed=0)
    x = draft.activation((1, 4), GRID)
    params = per_tensor(0.01, 3, INT8)
    weight = draft.constant("fc.weight", torch.ones(2, 4, dtype=torch.int8), params)
    bias = draft.bias(x, weight, torch.zeros(2))
    case = draft.case(draft.emit(Linear(), x, weight, bias, params=GRID))
    with pytest.raises(EngineError, match=r"fc\.weight has a zero point; .*symmetric weights only"):
        OneDnn(case.program)


@pytest.mark.parametrize("type", [INT8, IntegerType(4, signed=True), IntegerType(16, signed=True)])
def test_signed_or_wide_activations_are_refused(type: IntegerType) -> None:
    draft = Draft(seed=0)
    case = draft.case(draft.activation((1, 4), per_tensor(0.01, 0, type)))
    with pytest.raises(EngineError, match=f'quantize is {type}; .* use engine="reference"'):
        OneDnn(case.program)


# --- what flows where ----------------------------------------------------------------------------


def test_an_accumulator_that_several_read_leaves_once() -> None:
    draft = Draft(seed=0)
    wide = draft.layer(Conv2d(), draft.activation((2, 4, 5, 5), GRID), (8, 4, 3, 3), None)
    real = draft.emit(Dequantize(), wide)
    a = draft.emit(Opaque("aten.sigmoid.default", (("%", 0),)), real)
    b = draft.emit(Opaque("aten.neg.default", (("%", 0),)), real)
    islands = {a.name: "an island", b.name: "an island"}
    check(draft.case(a, b, real, islands=islands))


def test_an_island_with_several_results_writes_them_all() -> None:
    draft = Draft(seed=0)
    x = draft.emit(Dequantize(), draft.activation((2, 4, 5, 5), GRID))
    first, second = draft.emit_many(Opaque("aten.split.Tensor", (("%", 0), 2, 1)), x)
    check(draft.case(second, first, islands={first.name: "an island"}))


def test_a_result_that_nobody_reads_is_no_obstacle() -> None:
    draft = Draft(seed=0)
    x = draft.activation((2, 4, 5, 5), GRID)
    draft.emit(GlobalAveragePool(), x, params=GRID)
    draft.layer(Conv2d(), x, (8, 4, 3, 3), None)
    check(draft.case(draft.emit(Flatten(), x, params=GRID)))


def test_an_input_may_be_returned_and_read() -> None:
    draft = Draft(seed=0)
    x = draft.input(draft.normal((2, 4, 5, 5)))
    q = draft.emit(Quantize(), x, params=GRID)
    case = draft.case(q)
    graph = replace(case.program.graph, outputs=(x.name,))
    (same,) = OneDnn(Program(graph, {})).run(case.inputs)
    assert torch.equal(same, case.inputs[0])


def test_two_inputs_meet_in_one_program() -> None:
    draft = Draft(seed=0)
    a, b = draft.activation((2, 4, 5, 5), GRID), draft.activation((2, 8, 3, 3), GRID)
    check(draft.case(draft.layer(Conv2d(), a, (8, 4, 3, 3), GRID, b)))


def test_too_few_inputs_are_an_error() -> None:
    draft = Draft(seed=0)
    case = draft.case(draft.activation((2, 4), GRID), draft.activation((2, 4), GRID))
    with pytest.raises(ValueError, match="shorter"):
        OneDnn(case.program).run(case.inputs[:1])


def network(draft: Draft, x: Tensor) -> Case:
    image = draft.emit(Quantize(), draft.input(x), params=GRID)
    first = draft.layer(Conv2d((2, 2), (1, 1), low=0.0), image, (8, 3, 3, 3), GRID)
    second = draft.layer(Conv2d((1, 1), (1, 1)), first, (8, 8, 3, 3), GRID, first)
    return draft.case(draft.emit(GlobalAveragePool(), second, params=GRID))


@pytest.mark.parametrize("sample", [(), ((1, 3, 9, 9),), ((1, 3, 64, 48),), ((1, 3, 1, 1),)])
@pytest.mark.parametrize("size", [(1, 1), (9, 9), (32, 20)])
def test_images_of_another_size_than_was_foreseen_are_right(
    size: tuple[int, int], sample: tuple[tuple[int, ...], ...]
) -> None:
    draft = Draft(seed=0)
    case = network(draft, draft.normal((2, 3, *size)))
    program = replace(case.program, provenance=Provenance(input_shapes=sample))
    expected = Reference(program).run(case.inputs)
    assert compare(case, OneDnn(program).run(case.inputs), expected).worst <= 1


def test_no_images_give_no_results() -> None:
    draft = Draft(seed=0)
    case = network(draft, draft.normal((2, 3, 9, 9)))
    (y,) = OneDnn(case.program).run([case.inputs[0][:0]])
    assert y.shape == (0, 8, 1, 1)
