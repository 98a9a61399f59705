import onnx
import pytest
import torch

from tests.conformance.cases import FUNCTIONS as EXAMPLES
from tests.conformance.cases import TAME_FUNCTIONS
from tests.conformance.draft import Case, Draft
from tests.conformance.suite import compare
from tests.export.onnx.runtime import run_model
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import ExportError
from zeropoint.execute.onnxruntime import why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export.onnx import to_onnx
from zeropoint.export.onnx.functions import WRITERS, is_writable
from zeropoint.ops.functions import FUNCTIONS, TAME, Steps
from zeropoint.ops.table import Table

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

ALL: list[Steps] = [
    *EXAMPLES,
    *[((name, "x"),) for name in ("ceil", "floor", "round", "tan", "sinh", "cosh", "asinh")],
    *[((name, "x"),) for name in ("exp2", "expm1", "acos", "asin", "acosh", "atanh")],
    *[((name, "x"),) for name in ("log2", "log10", "log1p")],
    (("less", "x", 0.3),),
    (("less_equal", "x", 0.3),),
    (("greater_equal", "x", 0.3),),
    (("erf", "x"),),
    (("hardshrink", "x", 0.4),),
    (("threshold", "x", 0.2, -0.6),),
    (("softplus", "x", 2.0, 1.0),),
]
OF_CODES: list[Steps] = [(("erfc", "x"),), (("frac", "x"),), (("trunc", "x"),)]


def case_of(steps: Steps) -> Case:
    draft = Draft(seed=0)
    x = draft.activation((2, 3, 8, 8), per_tensor(0.0173, 100, UINT8))
    return draft.case(draft.emit(Table(steps), x, params=per_tensor(0.0231, 90, UINT8)))


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("steps", [*ALL, *OF_CODES], ids=str)
def test_every_function_is_a_table_in_onnx(steps: Steps, form: str) -> None:
    case = case_of(steps)
    found = run_model(to_onnx(case.program, form=form), case)
    tally = compare(case, found, Reference(case.program).run(case.inputs))
    assert tally.worst <= 1
    assert tally.off <= (0 if form == "qoperator" else 4)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_operators_that_runtimes_look_for_stand_between_the_fences() -> None:
    found = operators(to_onnx(case_of((("sigmoid", "x"),)).program))
    assert found[1:4] == ["DequantizeLinear", "Sigmoid", "QuantizeLinear"]


@pytest.mark.parametrize("steps", [(("erfc", "x"),), (("log", "x"),)])
def test_what_onnx_has_no_operator_or_no_number_for_is_looked_up(steps: Steps) -> None:
    assert "GatherElements" in operators(to_onnx(case_of(steps).program))


@pytest.mark.parametrize("steps", ALL, ids=str)
def test_real_numbers_have_the_function_too(steps: Steps) -> None:
    draft = Draft(seed=0)
    y = draft.emit(Table(steps), draft.input(draft.normal((2, 3, 5))))
    case = draft.case(y, islands={y.name: "it is tested"})
    (found,) = run_model(to_onnx(case.program), case)
    (expected,) = Reference(case.program).run(case.inputs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_a_function_of_real_numbers_that_onnx_does_not_have_is_refused_by_name() -> None:
    draft = Draft(seed=0)
    y = draft.emit(Table((("abs", "x"), ("erfc", "x1"))), draft.input(draft.normal((2, 3))))
    case = draft.case(y, islands={y.name: "it is tested"})
    with pytest.raises(ExportError, match=r"table: the function \(abs, erfc\) of real numbers"):
        to_onnx(case.program)


def test_every_function_of_an_accumulator_has_a_writer() -> None:
    assert TAME.keys() <= WRITERS.keys() <= FUNCTIONS.keys()
    assert all(is_writable(steps) for steps in TAME_FUNCTIONS)
    assert not is_writable((("silu", "x"), ("frac", "x1")))
