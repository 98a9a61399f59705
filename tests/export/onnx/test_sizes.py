import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.draft import Draft
from tests.export.onnx.runtime import run_model
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.execute.onnxruntime import why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export.onnx import to_onnx
from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.export.onnx.sizes import size_arithmetic
from zeropoint.ops.shape import ARITHMETIC, COMPUTED, INFER, Reshape, SizeArithmetic, SizeOf

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


WHOLE = {"add", "sub", "mul", "floordiv", "mod", "neg", "sym_max", "sym_min"}


@given(st.sampled_from(sorted(WHOLE)), st.integers(1, 4), st.integers(1, 4))
def test_sizes_are_computed_as_python_does(function: str, a: int, b: int) -> None:
    """The result, made a size by |r| + 1 = max(r, -r) + 1, is the extent of a reshape."""
    draft = Draft(seed=0)
    x = draft.activation((a, b, 5040), per_tensor(0.1, 3, UINT8))
    first, second = (draft.size(SizeOf(axis), x) for axis in (0, 1))
    operands = [draft.size(SizeArithmetic("neg", (None,)), first), second]
    count = 1 if function == "neg" else 2
    result = draft.size(SizeArithmetic(function, (None,) * count), *operands[:count])
    negative = draft.size(SizeArithmetic("neg", (None,)), result)
    size = draft.size(SizeArithmetic("sym_max", (None, None)), result, negative)
    size = draft.size(SizeArithmetic("add", (None, 1)), size)
    if 5040 % int(draft.real[size.name]):
        return
    y = draft.emit(Reshape((COMPUTED, INFER)), x, size, params=x.params)
    case = draft.case(y, verified=False)  # the batch is one of its sizes
    (found,) = run_model(to_onnx(case.program), case)
    assert torch.equal(found, Reference(case.program).run(case.inputs)[0])


@pytest.mark.parametrize("function", sorted(ARITHMETIC.keys() - WHOLE))
def test_sizes_in_floating_point_are_refused(function: str) -> None:
    op = SizeArithmetic(function, (None, None) if function in ("truediv", "pow") else (None,))
    with pytest.raises(Refusal, match=f"computed by '{function}', in floating point"):
        size_arithmetic(Sheet(frozenset()), op, ["a", "b"])
    with pytest.raises(Refusal, match="a size that is computed in floating point"):
        size_arithmetic(Sheet(frozenset()), SizeArithmetic("mul", (None, 0.5)), ["a"])
