from dataclasses import replace

import pytest
import torch

from zeropoint.errors import GraphError
from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.value import Plain, Value
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp


def diamond() -> Graph:
    """a = relu(x); b = relu6(a); c = a + b; return c."""
    to, x = float_graph(("N", 4))
    a = to.emit(Clamp(0.0), x, shape=x.shape, name="a")
    b = to.emit(Clamp(0.0, 6.0), a, shape=x.shape, name="b")
    c = to.emit(Add(), a, b, shape=x.shape, name="c")
    return to.done([c])


def test_a_builder_makes_names_unique() -> None:
    to, x = float_graph(("N", 4))
    names = [to.emit(Clamp(), x, shape=x.shape, name="a").name for _ in range(3)]
    assert names == ["a", "a:2", "a:3"]


def test_a_builder_keeps_names_that_the_text_form_can_hold() -> None:
    to, x = float_graph(("N", 4))
    y = to.emit(Clamp(), x, shape=x.shape, name="my (first), 50% layer")
    assert y.name == "my__first___50__layer"


def test_a_graph_knows_who_writes_and_who_reads_a_value() -> None:
    graph = diamond()
    a, b, c = graph.nodes
    assert graph.producers == {"a": a, "b": b, "c": c}
    assert graph.users == {"x": (a,), "a": (b, c), "b": (c,), "c": ()}


def test_a_node_that_reads_a_value_twice_is_two_users() -> None:
    to, x = float_graph(("N", 4))
    graph = to.done([to.emit(Add(), x, x, shape=x.shape)])
    assert len(graph.users["x"]) == 2
    assert graph.only_user("x") is None


def test_the_only_user_of_a_value_is_not_the_only_one_if_the_value_is_an_output() -> None:
    graph = diamond()
    assert graph.only_user("b") is graph.nodes[2]
    assert graph.only_user("a") is None
    outputs, structure = ("c", "b"), Nest((Leaf(), Leaf()))
    assert replace(graph, outputs=outputs, structure=structure).only_user("b") is None


def test_values_are_spent_with_their_last_reader() -> None:
    assert [(node.output, spent) for node, spent in diamond().last_uses] == [
        ("a", ("x",)),
        ("b", ()),
        ("c", ("a", "b")),
    ]


def test_a_value_that_nobody_reads_is_spent_at_once() -> None:
    graph = replace(diamond(), outputs=("b",))
    assert {node.output: spent for node, spent in graph.last_uses}["c"] == ("a", "c")


def test_a_malformed_graph_is_refused_with_the_value_by_name() -> None:
    graph = diamond()
    a, b, c = graph.nodes
    with pytest.raises(GraphError, match=r"clamp reads 'a' before anything writes it"):
        replace(graph, nodes=(b, a, c)).verify()
    with pytest.raises(GraphError, match=r"value 'a' is written 2 times"):
        replace(graph, nodes=(a, a, b, c)).verify()
    with pytest.raises(GraphError, match=r"value 'x' is written 2 times"):
        replace(graph, constants={"x": torch.zeros(4)}).verify()
    without_b = {name: value for name, value in graph.values.items() if name != "b"}
    with pytest.raises(GraphError, match=r"value 'b' has no declared type"):
        replace(graph, values=without_b).verify()
    with pytest.raises(GraphError, match=r"output 'c' is never written"):
        replace(graph, nodes=(a, b)).verify()
    with pytest.raises(GraphError, match=r"1 outputs do not fit Nest"):
        replace(graph, structure=Nest((Leaf(), Leaf()))).verify()


def test_a_node_may_write_several_values() -> None:
    node = Node(Clamp(), ("x",), ("a", "b"))
    values = {name: Value(name, Plain(), (2,)) for name in ("x", "a", "b")}
    graph = Graph(("x",), ("b",), (node,), values, {})
    graph.verify()
    assert graph.producers == {"a": node, "b": node}
