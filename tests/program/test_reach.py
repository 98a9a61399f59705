import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import zeropoint as zp
from tests.nets import seeded
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import ProgramError
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import IntegerOp
from zeropoint.graph.value import Quantized
from zeropoint.ops import OPS
from zeropoint.ops.pool import AdaptiveAveragePool2d, AveragePool2d, GlobalAveragePool
from zeropoint.ops.reduce import Mean, Sum
from zeropoint.ops.upsample import Interpolate
from zeropoint.program.reach import REACHES, check_reach, reach_of

EXTREMES = [
    Mean((1, 2)),
    Sum((3,)),
    GlobalAveragePool(),
    AveragePool2d((2, 3), (1, 1), (1, 1)),
    AdaptiveAveragePool2d((3, 2)),
]


def test_every_integer_operator_says_how_far_its_sums_get() -> None:
    integer = [op for op in OPS.values() if issubclass(op, IntegerOp)]
    assert integer
    for op in integer:
        assert any(kind in REACHES for kind in inspect.getmro(op)), f"{op.name} is in no row"


@settings(deadline=None, max_examples=30)
@given(
    op=st.sampled_from(EXTREMES),
    zero_point=st.integers(0, 255),
    shape=st.tuples(st.integers(1, 3), st.integers(3, 7), st.integers(3, 7)),
)
def test_no_sum_of_extreme_codes_is_beyond_its_reach(
    op: IntegerOp, zero_point: int, shape: tuple[int, int, int]
) -> None:
    to, _ = float_graph(("N", *shape))
    x = to.input("q", ("N", *shape), Quantized(per_tensor(1.0, zero_point, UINT8)))
    y = to.emit(op, x, shape=("N",))
    reach = reach_of(to.done([y]), to.nodes[0])
    assert reach is not None
    assert reach.largest is not None
    for code in (0, 255):
        steps = torch.full((1, *shape), float(code - zero_point), dtype=torch.float64)
        assert sums(op, steps).abs().max() <= reach.largest


def sums(op: IntegerOp, steps: torch.Tensor) -> torch.Tensor:
    if isinstance(op, Mean | Sum):
        return steps.sum(op.axes)
    if isinstance(op, GlobalAveragePool):
        return steps.sum((2, 3))
    if isinstance(op, AveragePool2d):
        return op.sums(steps)
    assert isinstance(op, AdaptiveAveragePool2d)
    return op.run(steps) * op.divisors(steps.shape[2:])


@pytest.mark.parametrize("op", [Interpolate(factors=(1.3, 2.0)), Interpolate(size=(7, 5))])
def test_an_interpolation_has_at_most_so_many_parts(op: Interpolate) -> None:
    to, _ = float_graph(("N", 1, 4, 6))
    x = to.input("q", ("N", 1, 4, 6), Quantized(per_tensor(1.0, 0, UINT8)))
    reach = reach_of(to.done([to.emit(op, x, shape=("N",))]), to.nodes[0])
    assert reach is not None
    parts = 1
    for positions in op.positions((4, 6)):
        parts *= positions.parts
    assert parts <= reach.count.known


def test_a_window_that_int32_does_not_hold_is_refused() -> None:
    to, _ = float_graph(("N", 1, 4096, 4096))
    x = to.input("q", ("N", 1, 4096, 4096), Quantized(per_tensor(1.0, 0, UINT8)))
    graph = to.done([to.emit(GlobalAveragePool(), x, shape=("N", 1, 1, 1))])
    with pytest.raises(ProgramError, match="adds 16,777,216 integers, which can reach 4,278,190,"):
        check_reach(graph, graph.nodes[0])


def test_a_sum_over_an_image_of_any_size_holds_up_to_some_size() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 2, 1))
    q = zp.quantize(seeded(net), [torch.rand(2, 1, 8, 8)], engine="reference")
    proof = zp.prove(q)
    (bound,) = proof.limits
    assert (bound.count, bound.largest) == ("H x W", None)
    assert bound.most == (2**31 - 1) // bound.each
    assert f"in inputs of up to {bound.most:,} integers a sum: 2 adds H x W" in str(proof)
    assert "measured by zeropoint.verify" in str(proof)
