import pytest
import torch

from tests.conformance.cases import TAME_FUNCTIONS
from tests.conformance.draft import Draft
from tests.conformance.suite import compare
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.execute.onednn import OneDnn, why_unusable
from zeropoint.execute.onednn.library import find_library
from zeropoint.execute.onednn.post_ops import CLIP, INFINITE, LINEAR, RELU, SWISH, clip, post_ops
from zeropoint.execute.reference import Reference
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.functions import Steps
from zeropoint.ops.linear import Linear

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

WITHOUT: list[Steps] = [
    (("tanh", "x"), ("sub", "x", "x1")),  # it reads x twice
    (("softshrink", "x", 0.3),),
    (("softsign", "x"),),
    (("softplus", "x", 1.0, 2.0),),
    (("softplus", "x", -1.0, 20.0),),
    (("abs", "x"), ("div", 1.0, "x1")),
    (("silu", "x"), ("abs", "x")),
]


def test_functions_in_a_row_are_post_operations_in_a_row() -> None:
    steps: Steps = (("mul", "x", 2.0), ("silu", "x1", 1.5), ("sub", 3.0, "x2"), ("sub", "x3", 1.0))
    assert post_ops(steps) == (
        (LINEAR, 2.0, 0.0),
        (SWISH, 1.5, 0.0),
        (LINEAR, -1.0, 3.0),
        (LINEAR, 1.0, -1.0),
    )
    assert post_ops(()) == ()


def test_bounds_are_a_relu_or_a_clip() -> None:
    assert clip(0.0, None) == (RELU, 0.0, 0.0)
    assert clip(None, 2.0) == (CLIP, -INFINITE, 2.0)
    assert post_ops((("clamp", "x", -1.0, None),)) == ((CLIP, -1.0, INFINITE),)


@pytest.mark.parametrize("steps", WITHOUT)
def test_what_has_no_such_form_is_known(steps: Steps) -> None:
    assert post_ops(steps) is None


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("steps", [*TAME_FUNCTIONS, *WITHOUT[3:6]], ids=str)
def test_a_layer_applies_every_function_as_the_reference_does(steps: Steps, direct: bool) -> None:
    if direct and find_library() is None:
        pytest.skip("this torch does not show oneDNN's functions")
    draft = Draft(seed=0)
    x = draft.activation((2, 8, 20, 20), per_tensor(0.02, 120, UINT8))
    op, grid = Conv2d(padding=(1, 1), function=steps), per_tensor(0.0371, 77, UINT8)
    weight = draft.sized(x, (16, 8, 3, 3), Conv2d(padding=(1, 1)))
    y = draft.emit(op, x, weight, draft.bias(x, weight, 100 * draft.normal((16,))), params=grid)
    flat = draft.activation((64, 32), per_tensor(0.02, 120, UINT8))
    rows = draft.sized(flat, (16, 32), Linear())
    bias = draft.bias(flat, rows, 100 * draft.normal((16,)))
    z = draft.emit(Linear(function=steps), flat, rows, bias, params=grid)
    case = draft.case(y, z)
    found = OneDnn(case.program, direct=direct).run(case.inputs)
    tally = compare(case, found, Reference(case.program).run(case.inputs))
    assert tally.worst <= 1
    assert tally.off <= 3
    assert torch.isfinite(found[0]).all()
