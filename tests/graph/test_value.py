import torch

from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.graph.value import FLOAT_NAMES, Plain, Quantized, Size, Value


def test_only_a_quantized_value_has_parameters() -> None:
    params = per_tensor(0.5, 3, UINT8)
    assert Value("q", Quantized(params), ("N", 4)).params == params
    assert Value("x", Plain(), ("N", 4)).params is None
    assert Value("n", Size(), ("N",)).params is None


def test_a_plain_value_is_float32_unless_said_otherwise() -> None:
    assert Plain() == Plain(torch.float32)
    assert Plain() != Plain(torch.float64)


def test_every_dtype_is_spelled_in_its_own_way() -> None:
    assert len(set(FLOAT_NAMES.values())) == len(FLOAT_NAMES)
