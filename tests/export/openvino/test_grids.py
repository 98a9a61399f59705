import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.draft import Draft
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, dequantize, per_tensor
from zeropoint.execute.openvino import OpenVino, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export.openvino.grids import constant, levels_of, real
from zeropoint.graph.value import Quantized, Value
from zeropoint.ops.quantize import Quantize

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


def test_a_grid_of_fewer_bits_has_the_levels_of_its_type() -> None:
    assert levels_of(per_tensor(0.1, 3, IntegerType(4, signed=False))) == (0, 255)
    assert levels_of(per_tensor(0.1, 0, INT8)) == (-128, 127)
    wide = per_tensor(0.1, 0, IntegerType(12, signed=True))
    assert levels_of(wide) == (wide.low, wide.high)


def test_the_real_number_of_a_code_is_the_references() -> None:
    params = per_tensor(0.0123, 77, UINT8)
    codes = torch.arange(256, dtype=torch.uint8)
    assert [real(code, params) for code in range(256)] == dequantize(codes, params).tolist()


@given(st.integers(2, 8), st.data())
def test_every_width_rounds_and_saturates_as_the_reference_does(
    bits: int, data: st.DataObject
) -> None:
    draft = Draft(seed=0)
    zero_point = data.draw(st.integers(0, 2**bits - 1))
    params = per_tensor(0.37, zero_point, IntegerType(bits, signed=False))
    x = draft.input(200 * draft.normal((2, 3, 8, 8)) / 2**bits)
    case = draft.case(draft.emit(Quantize(), x, params=params))
    (found,) = OpenVino(case.program).run(case.inputs)
    torch.testing.assert_close(found, Reference(case.program).run(case.inputs)[0])


def test_weights_are_integers_in_the_file() -> None:
    q = torch.tensor([[1, -127], [5, 0]], dtype=torch.int8)
    scale = torch.tensor([0.1, 0.3])
    params = QParams(scale, torch.zeros(2, dtype=torch.int32), INT8, axis=0)
    written = constant(Value("weight", Quantized(params), (2, 2)), q)
    assert written.get_type_name() == "Multiply"
    (convert, factor) = (written.input_value(i).get_node() for i in range(2))
    assert convert.get_type_name() == "Convert"
    integers = convert.input_value(0).get_node()
    assert integers.get_element_type().get_type_name() == "i8"
    assert integers.get_data().tolist() == q.tolist()
    assert factor.get_data().tolist() == scale.reshape(2, 1).tolist()


def test_a_zero_point_of_weights_is_taken_off() -> None:
    params = per_tensor(0.5, 3, INT8)
    weight = Value("weight", Quantized(params), (2,))
    written = constant(weight, torch.tensor([3, 4], dtype=torch.int8))
    assert written.input_value(0).get_node().get_type_name() == "Subtract"
