import torch

from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.rewrite import Rewriter, find, prune
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.text import format_graph
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp


def two_clamps() -> Graph:
    to, x = float_graph(("N", 4))
    a = to.emit(Clamp(0.0), x, shape=x.shape, name="a")
    b = to.emit(Clamp(None, 6.0), a, shape=x.shape, name="b")
    return to.done([to.emit(Add(), b, x, shape=x.shape, name="c")])


def test_nodes_are_found_by_their_operator() -> None:
    graph = two_clamps()
    assert [(node.output, op.high) for node, op in find(graph, Clamp)] == [("a", None), ("b", 6.0)]
    assert [node.output for node, _ in find(graph, Add)] == ["c"]


def test_a_node_is_replaced_in_its_place() -> None:
    graph = two_clamps()
    a, b, _ = graph.nodes
    edit = Rewriter(graph)
    edit.replace(b, [Node(Clamp(0.0, 6.0), ("x",), ("b",))])
    assert edit.touched(b)
    assert not edit.touched(a)
    assert format_graph(edit.done()) == (
        "graph(%x: f32[N,4]) {\n"
        "  %b: f32[N,4] = clamp(%x) {low=0.0, high=6.0}\n"
        "  %c: f32[N,4] = add(%b, %x)\n"
        "  return %c\n"
        "}"
    )


def test_the_old_graph_is_left_as_it_was() -> None:
    graph = two_clamps()
    before = format_graph(graph)
    edit = Rewriter(graph)
    edit.remove(graph.nodes[0], reads="x")
    edit.constant("k", torch.ones(1))
    edit.done()
    assert format_graph(graph) == before


def test_readers_of_removed_nodes_read_what_those_read() -> None:
    graph = two_clamps()
    edit = Rewriter(graph)
    edit.remove(graph.nodes[0], reads="x")
    edit.remove(graph.nodes[1], reads="a")
    assert [node.inputs for node in edit.done().nodes] == [("x", "x")]


def test_a_removed_output_is_replaced_by_what_it_read() -> None:
    graph = two_clamps()
    edit = Rewriter(graph)
    edit.remove(graph.nodes[2], reads="b")
    assert edit.done().outputs == ("b",)


def test_a_new_constant_gets_a_name_of_its_own_and_stays_only_if_it_is_read() -> None:
    graph = two_clamps()
    edit = Rewriter(graph)
    first, second = edit.constant("x", torch.ones(4)), edit.constant("x", torch.zeros(4))
    assert (first, second) == ("x'", "x''")
    edit.replace(graph.nodes[2], [Node(Add(), ("b", second), ("c",))])
    after = edit.done()
    assert list(after.constants) == ["x''"]
    assert "x'" not in after.values


def test_what_no_output_depends_on_is_pruned_but_inputs_stay() -> None:
    to, x = float_graph(("N", 4))
    y = to.input("y", ("N", 4))
    to.emit(Clamp(0.0), y, to.constant("unused", torch.ones(4)), shape=x.shape, name="dead")
    kept = to.emit(Clamp(0.0), x, shape=x.shape, name="kept")
    graph = prune(to.done([kept, kept], Nest((Leaf(), Leaf()))))
    assert [node.output for node in graph.nodes] == ["kept"]
    assert graph.inputs == ("x", "y")
    assert list(graph.values) == ["x", "y", "kept"]
    assert not graph.constants
