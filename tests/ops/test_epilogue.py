import torch
import torch.nn.functional as F

from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import Float32, Term
from zeropoint.ops.epilogue import finished, finished_real

Y = per_tensor(0.031, 40, UINT8)
TERM = Term(torch.tensor([-4000, -60, 0, 60, 4000]), torch.tensor(0.01, dtype=torch.float64))


def test_an_accumulator_is_rounded_within_its_bounds() -> None:
    assert finished([TERM], (), (None, None), Y, Float32()).tolist() == [0, 21, 40, 59, 255]
    assert finished([TERM], (), (0.0, 0.31), Y, Float32()).tolist() == [40, 40, 40, 50, 50]


def test_a_function_comes_before_the_rounding_and_the_bounds() -> None:
    silu = (("silu", "x"),)
    real = F.silu(TERM.accumulator.double() * 0.01)
    expected = (torch.round(real / Y.scale.double()) + 40).clamp(0, 255)
    assert finished([TERM], silu, (None, None), Y, Float32()).tolist() == expected.tolist()
    bounded = finished([TERM], silu, (0.0, 0.31), Y, Float32()).tolist()
    assert bounded == expected.clamp(40, 50).tolist()
    assert finished([TERM], silu, (None, None), Y, Float32()).dtype == torch.uint8


def test_the_float_form_applies_the_function_first_too() -> None:
    x = torch.tensor([-2.0, 0.5, 9.0])
    assert torch.equal(finished_real(x.clone(), (("neg", "x"),), (-1.0, 1.0)), -x.clamp(-1, 1))
    assert torch.equal(finished_real(x.clone(), (), (0.0, None)), x.relu())
