import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.draft import Draft
from zeropoint.arithmetic.integer import INT8, UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.export.c.output_scale import output_scales
from zeropoint.export.c.routine import routine
from zeropoint.graph.value import Value
from zeropoint.ops.linear import Linear
from zeropoint.program.program import Program


def program(scales: list[float]) -> Program:
    """A linear layer with one scale for each of its logits."""
    draft = Draft(0)
    x = draft.activation((1, 3), per_tensor(0.1, 7, UINT8))
    zeros = torch.zeros(len(scales), dtype=torch.int32)
    params = QParams(torch.tensor(scales), zeros, INT8, axis=0)
    q = torch.ones(len(scales), 3, dtype=torch.int8)
    weight = draft.constant("weight", q, params)
    bias = draft.bias(x, weight, zeros)
    return draft.case(draft.emit(Linear(), x, weight, bias, params=_logits(bias))).program


def _logits(bias: Value) -> QParams:
    assert bias.params is not None
    return QParams(bias.params.scale, bias.params.zero_point, bias.params.type, axis=1)


@given(st.lists(st.floats(2.0**-20, 8.0, width=32), min_size=2, max_size=5))
def test_integers_stand_for_the_scales_to_31_bits_of_the_greatest(scales: list[float]) -> None:
    (found,) = output_scales(routine(program(scales), [(1, 3)], "double"), "net")
    real = found.port.params.scale.to(torch.float64)
    ours = torch.tensor(found.mantissas, dtype=torch.float64) / 2.0**found.bits
    assert found.name == "net_output_scale"
    assert 2**30 <= max(found.mantissas) < 2**31
    assert ((ours - real).abs() <= real.max() * 2.0**-31).all()


def test_scales_within_a_factor_of_2_to_the_7_are_exact() -> None:
    (found,) = output_scales(routine(program([1.0, 0.0123, 0.37]), [(1, 3)], "double"), "net")
    real = found.port.params.scale.to(torch.float64)
    assert [m / 2**found.bits for m in found.mantissas] == real.tolist()
