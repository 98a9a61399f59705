import math
from collections.abc import Callable

import pytest

from zeropoint.fields import MOST_LETTERS, Field


def test_fields_are_read_as_what_they_are() -> None:
    body = Field({"a": {"n": 3, "x": 1, "on": True, "list": ["b", "c"], "shape": [1, "N"]}})
    a = body["a"]
    a.only("n", "x", "on", "list", "shape", "more")
    assert (a["n"].integer(0, 3), a["x"].number(), a["on"].flag()) == (3, 1.0, True)
    assert (a["list"].texts(), a["shape"].shape(5)) == (("b", "c"), (1, "N"))
    assert a["list"].items()[1].one_of({"c"}) == "c"
    assert [name for name, _ in a.entries().items()] == ["n", "x", "on", "list", "shape"]
    assert Field([2, 0]).extents(2) == (2, 0)
    assert body.get("b") is None
    assert Field(3).get("b") is None


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda: Field({})["a"], "the body has no 'a'"),
        (lambda: Field([])["a"], "the body has no 'a'"),
        (lambda: Field({"a": {}})["a"]["b"], "a has no 'b'"),
        (
            lambda: Field({"a": [1, "b"]})["a"].items()[1].integer(0, 9),
            r"a\[1\] is 'b', and not an",
        ),
        (lambda: Field({"b": 1}).only("a"), "the body has 'b', which no such file has"),
        (lambda: Field(1).text(), "is 1, and not a text"),
        (lambda: Field("a" * (MOST_LETTERS + 1)).text(), r"is 'aaa.*\.\.\., and not a text"),
        (lambda: Field([]).one_of({"a"}), "not a name that is known here"),
        (lambda: Field("b").one_of({"a"}), "not a name that is known here"),
        (lambda: Field(True).integer(0, 1), "not an integer from 0 to 1"),
        (lambda: Field(1.0).integer(0, 1), "not an integer from 0 to 1"),
        (lambda: Field(2).integer(0, 1), "not an integer from 0 to 1"),
        (lambda: Field(math.inf).number(), "not a finite number"),
        (lambda: Field(math.nan).number(), "not a finite number"),
        (lambda: Field(10**400).number(), "not a finite number"),
        (lambda: Field("1").number(), "not a finite number"),
        (lambda: Field(True).number(), "not a finite number"),
        (lambda: Field(1).flag(), "not true or false"),
        (lambda: Field({}).items(), "not a list"),
        (lambda: Field([]).entries(), "not an object"),
        (lambda: Field([1]).texts(), r"\[0\] is 1, and not a text"),
        (lambda: Field([-1]).extents(9), r"\[0\] is -1, and not an integer"),
        (lambda: Field([None]).shape(9), r"\[0\] is None, and not an integer"),
    ],
)
def test_what_a_field_is_not_is_said_with_its_place(read: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read()
