"""That a simulation and its program have the same integers."""

from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import quantize
from zeropoint.execute.reference import Reference
from zeropoint.graph.value import Quantized
from zeropoint.graph.walk import walk
from zeropoint.simulation import Simulation, every

SHARE = 1e-4
"""Results that may be one step off: float32 sums of another order, next to a half."""


def values_of(simulation: Simulation, x: Tensor) -> dict[str, Any]:
    """Every value of the walk with all units on."""
    values: dict[str, Any] = {}
    with torch.no_grad():
        kernel = simulation.kernel(every)
        walk(simulation.graph, [x], kernel=kernel, listener=values.__setitem__)
    return values


def assert_same_integers(simulation: Simulation, x: Tensor) -> None:
    """With all units on every integer is the program's, save for one step in 10,000.

    A step moves what comes after it, by as much as a program of other rounding would: the operands
    of each node are those of the simulation, as integers.
    """
    program, found = simulation.program, values_of(simulation, x)
    reference = Reference(program)
    steps, count = 0, 0
    for node in program.graph.nodes:
        value = program.graph.values[node.output]
        if not isinstance(value.type, Quantized) or value.type.params.type.bits == 32:
            continue
        operands = [_content(simulation, found, name) for name in node.inputs]
        expected = reference.compute(node, operands).to(torch.int32)
        real = found[node.output.removesuffix(".quantized")]
        difference = (quantize(real, value.type.params).to(torch.int32) - expected).abs()
        assert difference.max() <= 1, node.output
        steps, count = steps + int(difference.sum()), count + difference.numel()
    assert count > 0
    assert steps <= max(1, SHARE * count)


def _content(simulation: Simulation, found: dict[str, Any], name: str) -> Any:
    """A value of the program's: a constant, or what the simulation has, on its grid."""
    graph = simulation.program.graph
    if name in graph.constants:
        return graph.constants[name]
    real = found[name.removesuffix(".quantized").removesuffix(".real").removesuffix(".clamped")]
    params = graph.values[name].params
    return real if params is None else quantize(real, params)
