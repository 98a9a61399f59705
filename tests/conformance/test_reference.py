"""The specification itself: integers beside the real numbers that they stand for.

For every operator the float form, in float64 on the dequantized operands, says which real number is
right; the integer form may miss it by the one rounding that its profile allows, and no more.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor

from tests.conformance.cases import CASES
from tests.conformance.draft import Case
from tests.conformance.suite import run
from zeropoint.arithmetic.qparams import QParams, broadcast, quantize
from zeropoint.arithmetic.requantize import Arithmetic, FixedPoint, Float32
from zeropoint.execute.reference import Reference
from zeropoint.graph.graph import Node
from zeropoint.graph.walk import walk
from zeropoint.ops.quantize import Quantize

PROFILES: list[tuple[Arithmetic, float]] = [
    (Float32(), 0.5),
    (FixedPoint("single"), 0.5),
    (FixedPoint("double"), 1.0),
]
SLACK = 0.003
"""Steps that float32 scales and products, and units of a staircase, are worth."""


def definition(case: Case) -> tuple[Any, ...]:  # tensors, as walk returns them
    """The outputs in real numbers: each result is clipped to its grid's range, but not rounded."""
    values = case.program.graph.values

    def exact(name: str, content: Any) -> Any:  # a Tensor, or an int for a size
        if name not in case.program.graph.constants:
            return content
        params = values[name].params
        return content.to(torch.float64) if params is None else real_numbers(content, params)

    def compute(node: Node, operands: Sequence[Any]) -> Any:
        params = values[node.output].params
        if isinstance(node.op, Quantize):
            assert params is not None
            return real_numbers(quantize(operands[0].to(torch.float32), params), params)
        real = node.op.run(*map(exact, node.inputs, operands))
        return real if params is None or params.type.bits == 32 else clipped(real, params)

    return walk(case.program.graph, [x.to(torch.float64) for x in case.inputs], kernel=compute)


def real_numbers(q: Tensor, params: QParams) -> Tensor:
    """s (q - z) in float64."""
    steps = q.to(torch.float64) - broadcast(params.zero_point, q.ndim, params.axis)
    return steps * broadcast(params.scale, q.ndim, params.axis)


def clipped(real: Tensor, params: QParams) -> Tensor:
    low, high = params.real_range
    return real.clamp(low.to(torch.float64), high.to(torch.float64))


def allowed(case: Case, name: str, real: Tensor, steps: float) -> Tensor:
    """So many steps of the output's grid, or float32 rounding where it has none."""
    node = case.program.graph.producers[name]
    params = case.program.graph.values[node.inputs[0]].params
    if params is None or params.type.bits == 32:
        return 2.0**-20 * real.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    return (steps + SLACK) * params.scale.to(torch.float64)


@pytest.mark.parametrize(("arithmetic", "steps"), PROFILES, ids=["float32", "single", "double"])
@pytest.mark.parametrize("title", CASES)
def test_the_integer_form_is_the_float_form_rounded_once(
    title: str, arithmetic: Arithmetic, steps: float
) -> None:
    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(CASES[title])
    def check(case: Case) -> None:
        found = run(lambda program: Reference(program, arithmetic), case)
        names = case.program.graph.outputs
        for name, ours, real in zip(names, found, definition(case), strict=True):
            assert ours.shape == real.shape
            error = (ours.to(torch.float64) - real).abs()
            assert bool((error <= allowed(case, name, real, steps)).all()), error.max()

    check()
