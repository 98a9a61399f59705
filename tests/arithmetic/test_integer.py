import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.arithmetic.integer import INT8, INT32, UINT8, IntegerType

types = st.builds(IntegerType, st.integers(2, 32), st.booleans())


@pytest.mark.parametrize(
    ("type", "low", "high"),
    [
        (UINT8, 0, 255),
        (INT8, -128, 127),
        (INT32, -(2**31), 2**31 - 1),
        (IntegerType(2, signed=True), -2, 1),
        (IntegerType(2, signed=False), 0, 3),
    ],
)
def test_bounds_are_those_of_two_s_complement(type: IntegerType, low: int, high: int) -> None:
    assert (type.low, type.high) == (low, high)


@given(types)
def test_a_type_has_two_to_the_bits_values(type: IntegerType) -> None:
    assert type.high - type.low + 1 == 2**type.bits


@pytest.mark.parametrize("bits", range(2, 33))
def test_storage_of_a_signed_type_is_the_smallest_that_holds_it(bits: int) -> None:
    type = IntegerType(bits, signed=True)
    info = torch.iinfo(type.storage)
    assert info.min <= type.low
    assert info.max >= type.high
    assert info.bits == (8 if bits <= 8 else 16 if bits <= 16 else 32)


def test_unsigned_types_are_stored_up_to_eight_bits() -> None:
    assert IntegerType(3, signed=False).storage == torch.uint8
    with pytest.raises(ValueError, match="torch stores no u9"):
        _ = IntegerType(9, signed=False).storage


@given(types)
def test_a_type_is_read_back_from_its_text(type: IntegerType) -> None:
    assert IntegerType.parse(str(type)) == type
    assert eval(repr(type)) == type


@pytest.mark.parametrize("text", ["", "8", "u", "f32", "int8", "u-8", "u8 ", "i1", "u33", "i0"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="integer type"):
        IntegerType.parse(text)


@pytest.mark.parametrize("bits", [-8, 0, 1, 33, 64])
def test_a_type_has_2_to_32_bits(bits: int) -> None:
    with pytest.raises(ValueError, match=f"2 to 32 bits, not {bits}"):
        IntegerType(bits, signed=True)
