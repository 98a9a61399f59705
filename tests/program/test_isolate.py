import pytest
import torch
from torch import nn

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.arithmetic.qparams import dequantize
from zeropoint.execute.reference import Reference
from zeropoint.program.isolate import activations_of, integer_nodes, isolate
from zeropoint.program.program import Program


@pytest.fixture(scope="module")
def program() -> Program:
    return zp.quantize(seeded(Residual()), [images()]).program


def test_an_operator_alone_computes_what_it_computes_in_the_program(program: Program) -> None:
    seen: dict[str, torch.Tensor] = {}
    Reference(program).trace([images(seed=1)], seen.__setitem__)
    values = program.graph.values
    for node in integer_nodes(program):
        alone = isolate(program, node)
        assert alone is not None
        real = [
            dequantize(seen[name], values[name].params)  # type: ignore[arg-type]  # integers
            for name in activations_of(program, node)
        ]
        again: dict[str, torch.Tensor] = {}
        Reference(alone).trace(real, again.__setitem__)
        assert torch.equal(again[node.output], seen[node.output]), node.output


def test_it_takes_each_activation_once_and_keeps_its_constants(program: Program) -> None:
    node = next(node for node in integer_nodes(program) if node.op.name == "conv2d")
    alone = isolate(program, node)
    assert alone is not None
    assert alone.graph.inputs == tuple(f"{n}.real" for n in activations_of(program, node))
    assert set(alone.graph.constants) == set(node.inputs) & set(program.graph.constants)


def test_an_operator_that_reads_a_size_has_no_program_of_its_own() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 4, 1)
            self.second = nn.Conv2d(2, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x)
            n, c, h, w = y.shape
            return self.second(y.view(n, 2, c // 2 * h, w))  # type: ignore[no-any-return]  # a call

    program = zp.quantize(seeded(Net()), [torch.rand(2, 3, 8, 8)]).program
    nodes = integer_nodes(program)
    assert [node.op.name for node in nodes] == ["conv2d", "reshape", "conv2d"]
    assert [isolate(program, node) is None for node in nodes] == [False, True, False]
