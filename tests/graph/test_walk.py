import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.value import Plain
from zeropoint.graph.walk import advance, walk
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.opaque import Opaque


def chain(length: int) -> Graph:
    """x -> v0 -> v1 -> ... through clamps that copy."""
    to, value = float_graph(("N", 4))
    for index in range(length):
        value = to.emit(Clamp(0.0), value, shape=value.shape, name=f"v{index}")
    return to.done([value])


def test_a_walk_returns_the_outputs() -> None:
    to, x = float_graph((2,))
    y = to.emit(Clamp(0.0, 6.0), x, shape=x.shape)
    graph = to.done([y, x], Nest((Leaf(), Leaf())))
    first, second = walk(graph, [torch.tensor([-1.0, 9.0])])
    assert first.tolist() == [0.0, 6.0]
    assert second.tolist() == [-1.0, 9.0]


def test_an_output_may_be_a_constant() -> None:
    to, _ = float_graph((2,))
    graph = to.done([to.constant("c", torch.ones(2))])
    assert walk(graph, [torch.zeros(2)])[0].tolist() == [1.0, 1.0]


def test_a_listener_sees_each_value_once_and_no_constant() -> None:
    to, x = float_graph(("N", 2))
    c = to.constant("c", torch.ones(2))
    a = to.emit(Add(), x, c, shape=x.shape, name="a")
    halves = Opaque("aten.split.Tensor", (("%", 0), 1, 1))
    shape = ("N", 1)
    b = to.emit_many(halves, [a], [(shape, Plain()), (shape, Plain())], name="b")
    d = to.emit(Add(), *b, shape=shape, name="d")
    seen: list[str] = []
    walk(to.done([d]), [torch.zeros(3, 2)], listener=lambda name, _: seen.append(name))
    assert seen == ["x", "a", "b", "b:2", "d"]


def test_a_kernel_computes_instead_of_the_operator() -> None:
    def doubled(node: Node, operands: Sequence[Any]) -> Any:
        return 2 * operands[0]

    assert walk(chain(3), [torch.tensor([[-1.0]])], kernel=doubled)[0].item() == -8.0


def test_the_number_of_inputs_has_to_fit() -> None:
    with pytest.raises(ValueError, match="longer"):
        walk(chain(1), [torch.zeros(1, 4), torch.zeros(1, 4)])


def test_a_value_is_dropped_after_its_last_use() -> None:
    """However long the chain, no more than an operand and its result are alive."""
    alive: dict[str, weakref.ref[Tensor]] = {}
    most = 0

    def listen(name: str, x: Tensor) -> None:
        nonlocal most
        alive[name] = weakref.ref(x)
        most = max(most, sum(1 for reference in alive.values() if reference() is not None))

    graph = chain(20)
    (result,) = walk(graph, (torch.ones(1, 4),), listener=listen)
    assert len(alive) == 21
    # The caller holds the input all the time; with it an operand and its result.
    assert most <= 3
    assert result.sum() == 4.0


def test_a_value_that_is_read_late_stays_until_then() -> None:
    to, x = float_graph(("N", 4))
    early = to.emit(Clamp(0.0), x, shape=x.shape, name="early")
    value = early
    for index in range(3):
        value = to.emit(Clamp(0.0), value, shape=x.shape, name=f"v{index}")
    total = to.emit(Add(), value, early, shape=x.shape, name="total")
    after = to.emit(Clamp(0.0), total, shape=x.shape, name="after")
    alive: dict[str, weakref.ref[Tensor]] = {}
    at_total: list[str] = []
    at_end: list[str] = []

    def listen(name: str, value: Tensor) -> None:
        alive[name] = weakref.ref(value)
        here = at_total if name == "total" else at_end if name == "after" else []
        here.extend(name for name, reference in alive.items() if reference() is not None)

    walk(to.done([after]), [torch.ones(1, 4)], listener=listen)
    assert "early" in at_total
    assert "v0" not in at_total
    assert "early" not in at_end


def test_a_walk_can_go_on_from_a_copy_of_its_live_values_with_another_kernel() -> None:
    graph = chain(4)
    x = torch.tensor([[-1.0, 1.0, 2.0, 3.0]])
    live: dict[str, Any] = {graph.inputs[0]: x}
    advance(graph, live, 0, 2)
    fork = dict(live)
    advance(graph, fork, 2, 4, kernel=lambda node, operands: 2 * node.op.run(*operands))
    advance(graph, live, 2, 4)
    assert torch.equal(live["v3"], x.clamp(min=0))
    assert torch.equal(fork["v3"], 4 * x.clamp(min=0))
    assert set(live) == {"v3"}
