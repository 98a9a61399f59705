import pytest
import torch

from tests.conformance.cases import FUNCTIONS as EXAMPLES
from tests.conformance.draft import Case, Draft
from tests.conformance.suite import compare
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import EngineError
from zeropoint.execute.openvino import OpenVino, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export.openvino.functions import WRITERS, unwritable
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.functions import FUNCTIONS, TAME, Steps
from zeropoint.ops.table import Table

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

MORE: list[Steps] = [
    (("hardshrink", "x", 0.4),),
    (("threshold", "x", 0.2, -0.6),),
    (("softplus", "x", 2.0, 1.0),),
    (("ceil", "x"),),
    (("round", "x"),),
    (("erfc", "x"),),
    (("frac", "x"),),
]


@pytest.mark.parametrize("steps", [*EXAMPLES, *MORE], ids=str)
def test_every_function_is_the_table_of_the_reference(steps: Steps) -> None:
    draft = Draft(seed=0)
    x = draft.activation((2, 3, 8, 8), per_tensor(0.0173, 100, UINT8))
    case = draft.case(draft.emit(Table(steps), x, params=per_tensor(0.0231, 90, UINT8)))
    found = OpenVino(case.program).run(case.inputs)
    tally = compare(case, found, Reference(case.program).run(case.inputs))
    assert tally.worst <= 1
    assert tally.off <= 4


WRITABLE: list[Steps] = [
    *[steps for steps in (*EXAMPLES, *MORE) if unwritable(steps) is None],
    (("clamp", "x", -0.3, 0.4),),
    (("clamp", "x", None, 0.4),),
]


@pytest.mark.parametrize("steps", WRITABLE, ids=str)
def test_real_numbers_have_the_function_too(steps: Steps) -> None:
    draft = Draft(seed=0)
    y = draft.emit(Table(steps), draft.input(draft.normal((2, 3, 5))))
    case = draft.case(y, islands={y.name: "it is tested"})
    (found,) = OpenVino(case.program).run(case.inputs)
    (expected,) = Reference(case.program).run(case.inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4, equal_nan=True)


def refused(case: Case) -> str:
    with pytest.raises(EngineError) as caught:
        OpenVino(case.program)
    return str(caught.value)


def test_functions_of_real_numbers_that_openvino_does_not_have_are_refused_by_name() -> None:
    draft = Draft(seed=0)
    y = draft.emit(Table((("erfc", "x"),)), draft.input(draft.normal((2, 3))))
    island = draft.case(y, islands={y.name: "it is tested"})
    message = "the openvino engine cannot run this: "
    assert refused(island) == f"{message}table: the function 'erfc' of real numbers"
    draft = Draft(seed=0)
    x = draft.activation((1, 3, 4, 4), per_tensor(0.1, 7, UINT8))
    layer = draft.layer(Conv2d(function=(("erfc", "x"),)), x, (2, 3, 1, 1), x.params)
    assert refused(draft.case(layer)) == f"{message}conv2d: the function 'erfc' of real numbers"


def test_every_function_of_an_accumulator_has_a_writer() -> None:
    assert TAME.keys() <= WRITERS.keys() <= FUNCTIONS.keys()
