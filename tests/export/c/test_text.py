import pytest

from zeropoint.export.c.text import (
    decimal,
    filled,
    identifier,
    inside_comment,
    integer,
    prefix_of,
    product,
)


@pytest.mark.parametrize(
    ("stem", "prefix"),
    [("model", "model"), ("LeNet-5", "LeNet_5"), ("3d net", "net_3d_net"), ("émile", "mile")],
)
def test_names_of_a_file_begin_with_its_own(stem: str, prefix: str) -> None:
    assert prefix_of(stem) == prefix


def test_a_file_without_letters_has_a_prefix_too() -> None:
    assert prefix_of("-") == "net"


def test_a_layer_becomes_an_identifier() -> None:
    assert identifier("layer1.0.conv1") == "layer1_0_conv1"
    assert identifier("ключ") == ""


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("a */ b", "a * / b"),
        ("a /* b", "a / * b"),
        ("*/*", "* / *"),
        ("??/", "? ?/"),
        ("end\\", "end\\ "),
        ("two\nlines", "two?lines"),
        ("ключ", "????"),
    ],
)
def test_a_comment_stays_one(text: str, comment: str) -> None:
    assert inside_comment(text).replace("? ? ? ?", "????") == comment


def test_the_lowest_int32_has_no_literal() -> None:
    assert [integer(n) for n in (-(2**31), -(2**31) + 1, 7)] == ["INT32_MIN", "-2147483647", "7"]


def test_a_scale_has_as_few_digits_as_tell_it() -> None:
    assert decimal(0.10000000149011612) == "0.1"


def test_lines_are_filled_to_100_columns() -> None:
    text = filled(map(str, range(100)), "    ")
    assert all(len(line) <= 100 for line in text.splitlines())
    assert text.splitlines()[0].endswith(",")
    assert [int(n) for n in text.replace("\n", "").split(",")] == list(range(100))


def test_a_shape_is_read_as_a_product() -> None:
    assert product((3, 32, 32)) == "3 x 32 x 32"
