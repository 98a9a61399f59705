import pytest
import torch

from tests.conformance.draft import Draft
from tests.export.onnx.calls import X
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.execute.onnxruntime import OnnxRuntime, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.quantize import Dequantize, Quantize

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


@pytest.mark.parametrize("scale", [1e-4, 2.451e-4, 1e-3, 1 / 255])
def test_a_softmax_beyond_its_grid_saturates(scale: float) -> None:
    draft = Draft(seed=0)
    codes = draft.activation((2, 16, 2, 3), per_tensor(0.05, 235, UINT8))
    scores = draft.emit(Dequantize(), codes)
    shares = draft.emit(Opaque("aten.softmax.int", (X, 1)), scores)
    result = draft.emit(Quantize(), shares, params=per_tensor(scale, 0, UINT8))
    case = draft.case(result, islands={shares.name: "it is tested"})
    (found,) = OnnxRuntime(case.program).run(case.inputs)
    (expected,) = Reference(case.program).run(case.inputs)
    assert (found - expected).abs().max().item() < 1.5 * scale
    assert torch.equal(found == 0, expected == 0)
