"""Counts of differing integers, and a network whose function is chaotic."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import Nudged
from zeropoint.execute import choosing, engines
from zeropoint.execute.agreement import (
    LARGEST_DIFFERENCE,
    Count,
    in_turn,
    isolated_operators,
    network_passes,
    relative_difference,
)
from zeropoint.execute.reference import Reference
from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Node
from zeropoint.graph.value import Quantized
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.program.program import Program


def test_counts_add_up_and_keep_the_worst() -> None:
    assert Count(10, 1, 2) + Count(5, 2, 1) == Count(15, 3, 2)


@pytest.mark.parametrize(
    ("count", "passes"),
    [
        (Count(20_000, 2, 1), True),
        (Count(20_000, 3, 1), False),
        (Count(50, 1, 1), True),
        (Count(50, 2, 1), False),
        (Count(20_000, 1, 2), False),
    ],
)
def test_one_step_in_ten_thousand_integers_passes(count: Count, passes: bool) -> None:
    assert count.passes == passes


def test_an_operator_alone_sees_and_gives_the_integers_of_the_whole() -> None:
    program = zp.quantize(seeded(Residual()), [images()], engine="reference").program
    seen: dict[str, object] = {}
    Reference(program).trace([images(seed=1)], seen.__setitem__)
    operators = isolated_operators(program, Reference)
    assert len(operators) == len(program.graph.nodes) - 2  # but quantize and dequantize
    for operator in operators:
        found = operator.run(operator.inputs(seen))  # type: ignore[arg-type]  # all are tensors
        count = operator.difference(found, seen)  # type: ignore[arg-type]  # as above
        assert count.differing == 0
        assert count.compared == found.numel()


@pytest.mark.parametrize(
    ("counts", "passes"),
    [
        ([Count(20_000, 20, 1), Count(200_000, 0, 0)], True),
        ([Count(20_000, 21, 1), Count(200_000, 0, 0)], False),
        ([Count(20_000, 20, 1)], False),
        ([Count(50, 1, 1), Count(200_000, 0, 0)], True),
        ([Count(50, 2, 1), Count(200_000, 0, 0)], False),
        ([Count(20_000, 1, 2), Count(200_000, 0, 0)], False),
    ],
)
def test_one_operator_may_repeat_what_the_whole_network_may_not(
    counts: list[Count], passes: bool
) -> None:
    assert network_passes(counts) == passes


def alike(result: float) -> tuple[Program, Tensor]:
    """A product of two matrices, nearly all of whose results are that many steps."""
    to, x = float_graph((1, 8, 8))
    grids = per_tensor(1.0, 0, UINT8), per_tensor(9 / result, 0, UINT8)
    q = to.emit(Quantize(), x, shape=x.shape, type=Quantized(grids[0]))
    y = to.emit(MatMul(), q, q, shape=x.shape, type=Quantized(grids[1]))
    real = to.emit(Dequantize(), y, shape=x.shape)
    return Program(to.done([real]), {}), torch.ones(1, 8, 8).index_fill(1, torch.tensor([7]), 2.0)


@pytest.mark.parametrize(("result", "nudge", "is_tie"), [(4.5, 2.0**-20, True), (4.3, 0.3, False)])
def test_numbers_as_near_to_both_may_be_rounded_either_way(
    result: float, nudge: float, is_tie: bool
) -> None:
    program, x = alike(result)
    seen: dict[str, Any] = {}
    Reference(program).trace([x], seen.__setitem__)
    (operator,) = isolated_operators(program, lambda alone: Reference(alone, Nudged(nudge)))
    count = operator.difference(operator.run(operator.inputs(seen)), seen)
    assert (count.compared, count.differing, count.largest) == (64, 56, 1)
    assert count.ties == (56 if is_tie else 0)
    assert count.passes_in_network == is_tie


def test_the_difference_of_something_that_is_not_a_number_is_none() -> None:
    assert relative_difference(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 4.0])) == 0.25
    assert relative_difference(torch.zeros(2), torch.zeros(2)) == 0
    found = relative_difference(torch.tensor([torch.nan, 3.0]), torch.tensor([2.0, 4.0]))
    assert not found <= LARGEST_DIFFERENCE


class StepUp(Reference):
    """The reference, but for one integer of the first convolution, which is a step greater."""

    def compute(self, node: Node, operands: Sequence[Any]) -> Any:
        result = super().compute(node, operands)
        if node.origin.layer == "0" and node.op.name == "conv2d":
            result = result.clone()
            result.view(-1)[0] += 1
        return result


@pytest.fixture(scope="module")
def steep() -> zp.QuantizedModel:
    """A network that tells the codes on one side of a threshold from those on the other."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Hardtanh(0.0, 1.0)).eval()
    weights = ((1.0, 0.0), (2000.0, -1000.0))
    for layer, (weight, bias) in zip((model[0], model[1]), weights, strict=True):
        nn.init.constant_(layer.weight, weight)  # type: ignore[arg-type]  # a convolution's weight
        nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]  # and bias
    ramp = torch.linspace(0, 1, 256).reshape(1, 1, 16, 16)
    return zp.quantize(model, [ramp], engine="reference")


def threshold(q: zp.QuantizedModel) -> Tensor:
    """One image whose first pixel is the last of the ramp with the answer 0."""
    ramp = torch.linspace(0, 1, 256).reshape(256, 1, 1, 1)
    last = int((q(ramp).flatten() == 0).nonzero().max())
    return torch.cat([ramp[last : last + 1], torch.zeros(1, 1, 1, 1)], dim=2)


def test_operators_in_turn_make_what_the_whole_makes(steep: zp.QuantizedModel) -> None:
    x = threshold(steep)
    operators = isolated_operators(steep.program, StepUp)
    (whole,) = StepUp(steep.program).run([x])
    (chained,) = in_turn(steep.program, operators, [x])
    (expected,) = Reference(steep.program).run([x])
    assert torch.equal(whole, chained)
    assert relative_difference(whole, expected) > LARGEST_DIFFERENCE


def test_a_step_that_a_chaotic_network_magnifies_is_no_failure(
    steep: zp.QuantizedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines._MAKERS, "reference", StepUp)
    (check,) = zp.verify(steep, [threshold(steep)], ["reference"]).checks
    assert check.relative_difference > LARGEST_DIFFERENCE
    assert check.unexplained == 0
    assert check.passes


def test_an_engine_is_not_refused_for_the_chaos_of_a_network(
    steep: zp.QuantizedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines._MAKERS, "stepping", StepUp)
    monkeypatch.setattr(choosing, "candidates", lambda: ["stepping", "reference"])
    monkeypatch.setattr(choosing, "_seconds", lambda executor, inputs: type(executor) is Reference)
    chosen = steep.with_engine("auto", batch=threshold(steep))
    assert chosen.engine == "stepping"
