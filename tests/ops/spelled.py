"""Operators as a user spells them, behind a layer: captured, lowered, and beside torch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.nets import lowered, seeded
from zeropoint.arithmetic.qparams import dequantize
from zeropoint.capture import capture
from zeropoint.execute.reference import Reference
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import Op
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.shape import SizeArithmetic, SizeOf
from zeropoint.passes import simplify
from zeropoint.program.program import Program

Function = Callable[[Tensor], Any]  # a Tensor, or a list of them

CONVS = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
POOLS = {3: nn.MaxPool1d, 4: nn.MaxPool2d, 5: nn.MaxPool3d}
CHANNELS = 8

TOLERANCE = 10**-2.5
"""Of 25 dB: codes of a few hundred random numbers, calibrated on as many."""


class Spelled(nn.Module):
    """A convolution to 8 channels, a max pool that makes codes of its accumulators, `function`."""

    def __init__(self, function: Function, rank: int = 4) -> None:
        super().__init__()
        self.conv = CONVS[rank](3, CHANNELS, 1)
        self.pool = POOLS[rank](1)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.pool(self.conv(x)))


def inputs(*sizes: int, seed: int = 0) -> Tensor:
    """Two standard normal inputs (2, 3, *sizes)."""
    return torch.randn(2, 3, *sizes, generator=torch.Generator().manual_seed(seed))


def captured(function: Function, x: Tensor) -> Graph:
    """The float graph behind the layer; it computes what the model does, also for other sizes."""
    model = seeded(Spelled(function, x.ndim))
    return simplify(capture(model, (x,)))


def operators(graph: Graph) -> list[Op]:
    """The operators behind the pool, but for sizes."""
    place = next(i for i, node in enumerate(graph.nodes) if node.op.name.startswith("max_pool"))
    behind = (node.op for node in graph.nodes[place + 1 :])
    return [op for op in behind if not isinstance(op, SizeOf | SizeArithmetic)]


def integers_of(graph: Graph, x: Tensor) -> Program:
    """The program of the model, all of which runs in integers."""
    program = lowered(graph, x)
    fences = (Quantize, Dequantize, SizeOf, SizeArithmetic)
    for node in program.graph.nodes:
        assert isinstance(node.op, fences) or program.is_integer(node), node.op
    return program


def assert_codes_move(function: Function, x: Tensor, *others: Tensor) -> list[Op]:
    """The result holds the very codes of the operand, where torch puts them; also for other inputs.

    Returns the operators that do it.
    """
    graph = captured(function, x)
    program, found_operators = integers_of(graph, x), operators(graph)
    for sample in (x, *others):
        codes: dict[str, Tensor] = {}
        found = Reference(program).trace([sample], codes.__setitem__)
        name = next(name for name in codes if name.startswith("pool"))
        params = program.graph.values[name].params
        assert params is not None
        expected = function(dequantize(codes[name], params))
        for ours, theirs in zip(found, listed(expected), strict=True):
            assert torch.equal(ours, theirs)
    values = program.graph.values
    grids = [
        values[node.output].params
        for node in program.graph.nodes
        if node.op.name.startswith("max_pool") or node.op in found_operators
    ]
    assert all(grid == grids[0] for grid in grids), "the parameters stay"
    return found_operators


def assert_close(function: Function, x: Tensor, *others: Tensor) -> list[Op]:
    """The program, without an island, computes what the model does, to 8 bits of its layer.

    Returns the operators behind the layer.
    """
    graph = captured(function, x)
    program = lowered(graph, x)
    assert not program.has_islands()
    model = seeded(Spelled(function, x.ndim))
    for sample in (x, *others):
        found = Reference(program).run([sample])
        for ours, theirs in zip(found, listed(model(sample)), strict=True):
            assert ours.shape == theirs.shape
            noise = (ours - theirs).pow(2).mean() / theirs.pow(2).mean()
            assert noise < TOLERANCE, f"{-10 * float(noise.log10()):.1f} dB"
    return operators(graph)


def listed(results: Any) -> list[Tensor]:
    """One result, or several, as a list."""
    return list(results) if isinstance(results, list | tuple) else [results]
