from collections import OrderedDict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.graph.structure import (
    Empty,
    Leaf,
    Nest,
    from_json,
    leaves_of,
    nest,
    structure_of,
    to_json,
)

Pair = namedtuple("Pair", "first second")

NESTED = st.recursive(
    st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


def test_tuples_lists_dicts_and_none_are_told_apart() -> None:
    assert structure_of(1) == Leaf()
    assert structure_of(None) == Empty()
    assert structure_of((1, [2])) == Nest((Leaf(), Nest((Leaf(),), mutable=True)))
    assert structure_of({"a": 1, "b": None}) == Nest((Leaf(), Empty()), ("a", "b"))


def test_an_ordered_dict_becomes_a_dict_and_a_named_tuple_a_tuple() -> None:
    assert nest(structure_of(OrderedDict(b=1, a=2)), [1, 2]) == {"b": 1, "a": 2}
    assert nest(structure_of(Pair(1, 2)), [1, 2]) == (1, 2)


@given(NESTED)
def test_leaves_and_structure_are_the_whole(nested: Any) -> None:
    structure = structure_of(nested)
    leaves = leaves_of(nested)
    assert structure.leaves() == len(leaves)
    assert nest(structure, leaves) == nested


@given(NESTED)
def test_a_structure_survives_json(nested: Any) -> None:
    structure = structure_of(nested)
    assert from_json(to_json(structure)) == structure


def test_too_few_leaves_are_an_error() -> None:
    with pytest.raises(StopIteration):
        nest(structure_of((1, 2)), [1])
