from itertools import pairwise

from zeropoint.report.page.graph_layout import NODE_GAP, Drawing, layout


def chain(*names: str) -> list[tuple[str, str]]:
    return list(pairwise(names))


def assert_nothing_overlaps(drawing: Drawing) -> None:
    for name, (x, y) in drawing.places.items():
        assert 0.5 - 1e-6 <= x <= drawing.width - 0.5 + 1e-6
        for other, (x2, y2) in drawing.places.items():
            if name != other and y == y2:
                assert abs(x - x2) >= NODE_GAP - 2e-3


def test_a_chain_is_one_straight_column() -> None:
    drawing = layout(list("abcd"), chain(*"abcd"))
    assert [drawing.places[name] for name in "abcd"] == [(0.5, 0), (0.5, 1), (0.5, 2), (0.5, 3)]
    assert (drawing.width, drawing.rows) == (1.0, 4)


def test_a_shortcut_leaves_the_column_straight_and_runs_beside_it() -> None:
    drawing = layout(list("abcd"), [*chain(*"abcd"), ("a", "d")])
    columns = [drawing.places[name][0] for name in "abcd"]
    assert max(columns) - min(columns) < 0.02
    route = drawing.routes[-1]
    assert len(route) == 4
    for x, y in route[1:-1]:
        assert abs(x - columns[int(y)]) > 0.5


def test_a_residual_block_whose_shortcut_is_read_first_is_drawn_the_same() -> None:
    edges = [("a", "d"), *chain(*"abcd")]
    drawing = layout(list("abcd"), edges)
    columns = [drawing.places[name][0] for name in "abcd"]
    assert max(columns) - min(columns) < 0.02


def test_branches_stand_side_by_side_and_do_not_cross() -> None:
    edges = [("a", "l1"), ("a", "r1"), ("l1", "l2"), ("r1", "r2"), ("l2", "z"), ("r2", "z")]
    drawing = layout(["a", "l1", "r1", "l2", "r2", "z"], edges)
    assert_nothing_overlaps(drawing)
    sides = [drawing.places[f"l{row}"][0] < drawing.places[f"r{row}"][0] for row in (1, 2)]
    assert sides[0] == sides[1]
    assert drawing.places["z"] == (drawing.places["a"][0], 3)


def test_several_outputs_end_where_they_are_computed() -> None:
    drawing = layout(list("abcx"), [*chain(*"abc"), ("a", "x")])
    assert drawing.places["c"][1] == 2
    assert drawing.places["x"][1] == 1
    assert_nothing_overlaps(drawing)


def test_a_second_input_stands_right_above_its_reader() -> None:
    drawing = layout(["x", "late", "a", "b", "c"], [*chain("x", "a", "b", "c"), ("late", "c")])
    assert drawing.places["late"][1] == drawing.places["c"][1] - 1


def test_an_unconnected_node_and_an_empty_graph_have_a_place() -> None:
    assert layout(["alone"], []).places == {"alone": (0.5, 0.0)}
    assert layout([], []) == Drawing({}, [], 0.0, 0)


def test_four_wide_modules_in_a_row_do_not_overlap() -> None:
    """What an Inception network is made of, with branches of unequal length."""
    nodes, edges, before = ["in"], [], "in"
    for module in range(3):
        ends = []
        for branch, length in enumerate((1, 2, 3, 2)):
            above = before
            for step in range(length):
                name = f"{module}.{branch}.{step}"
                nodes.append(name)
                edges.append((above, name))
                above = name
            ends.append(above)
        before = f"cat{module}"
        nodes.append(before)
        edges += [(end, before) for end in ends]
    drawing = layout(nodes, edges)
    assert_nothing_overlaps(drawing)
    assert drawing.rows == 13
