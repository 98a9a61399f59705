import torch
from torch import nn

from tests.nets import run
from zeropoint.capture import capture
from zeropoint.graph.build import float_graph
from zeropoint.graph.value import Plain
from zeropoint.ops.glu import glu


def test_one_half_gates_the_other() -> None:
    for axis, shape in ((1, (2, 6, 4, 8)), (-1, (2, 6))):
        model, x = nn.GLU(axis), torch.randn(shape)
        graph = capture(model, (x,))
        assert [node.op.name for node in graph.nodes] == ["slice", "slice", "table", "mul"]
        torch.testing.assert_close(run(graph, x)[0], model(x))


def test_what_has_no_integer_form_says_why() -> None:
    to, x = float_graph(("N", 6, "L"))
    unknown = "only the run knows how long its halves are"
    assert glu(to, ("N", 6, "L//2"), x) == unknown
    whole = to.input("i", ("N", 6), Plain(torch.int64))
    assert glu(to, ("N", 3), whole, 1) == "it computes with integers"
