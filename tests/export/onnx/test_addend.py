import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.draft import Draft, Fill
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import dequantize, per_tensor, quantize
from zeropoint.execute.reference import Reference
from zeropoint.export.onnx.addend import intermediate_grid
from zeropoint.ops.conv import Conv2d


@given(st.integers(0, 10_000), st.integers(0, 255), st.floats(0.01, 3.0))
def test_rounding_the_convolution_first_costs_at_most_the_grids_ratio(
    seed: int, zero_point: int, gain: float
) -> None:
    draft = Draft(seed)
    x = draft.activation((1, 3, 4, 4), per_tensor(0.1, 7, UINT8))
    addend = draft.activation((1, 4, 4, 4), per_tensor(draft.scale(), 100, UINT8), Fill.RANDOM)
    op = Conv2d(padding=(1, 1), low=0.0)
    out = per_tensor(gain, zero_point, UINT8)
    case = draft.case(draft.layer(op, x, (4, 3, 3, 3), out, addend))
    node = next(n for n in case.program.graph.nodes if isinstance(n.op, Conv2d))
    grid = intermediate_grid(case.program, node, (zero_point, 255))
    conv = op.run(*(draft.real[name] for name in node.inputs[:3]))
    unbounded = Conv2d(padding=(1, 1)).run(*(draft.real[name] for name in node.inputs[:3]))
    assert conv.shape == unbounded.shape
    rounded = dequantize(quantize(unbounded, grid), grid)
    total = (rounded + draft.real[addend.name]).clamp(min=0.0)
    found = quantize(total, out).to(torch.int32)
    expected = quantize(Reference(case.program).run(case.inputs)[0], out).to(torch.int32)
    allowed = 1 + 0.5 * grid.scale.item() / gain
    assert (found - expected).abs().max() <= allowed
