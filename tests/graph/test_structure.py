from collections import OrderedDict, namedtuple
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.graph.structure import (
    Empty,
    Fixed,
    Leaf,
    Nest,
    Record,
    Row,
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


A, B = torch.zeros(1), torch.ones(1)


def test_tuples_lists_dicts_numbers_and_none_are_told_apart() -> None:
    assert structure_of(A) == Leaf()
    assert structure_of(None) == Empty()
    assert structure_of("word") == Fixed("word")
    assert structure_of((A, [2])) == Nest((Leaf(), Nest((Fixed(2),), mutable=True)))
    assert structure_of({"a": A, "b": None}) == Nest((Leaf(), Empty()), ("a", "b"))


def test_a_class_is_made_again_and_a_file_keeps_its_names() -> None:
    ordered, pair = OrderedDict(b=A, a=B), Pair(A, B)
    for nested in (ordered, pair):
        structure = structure_of(nested)
        again = nest(structure, leaves_of(nested))
        assert type(again) is type(nested)
        loaded = nest(from_json(to_json(structure)), leaves_of(nested))
        assert type(loaded) in (Record, Row)
        names = getattr(nested, "_fields", tuple(ordered))
        assert [getattr(loaded, name) for name in names] == leaves_of(nested)
        assert loaded[1] is leaves_of(nested)[1]
        with pytest.raises(AttributeError, match="there is no output 'c'"):
            _ = loaded.c


def test_plain_structures_have_no_classes() -> None:
    assert type(nest(structure_of(OrderedDict(b=A)), [A], plain=True)) is dict
    assert type(nest(structure_of(Pair(A, B)), [A, B], plain=True)) is tuple


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
        nest(structure_of((A, B)), [A])
