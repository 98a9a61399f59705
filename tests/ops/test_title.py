from zeropoint.ops.add import Add
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.table import Table
from zeropoint.ops.title import title


def test_an_operator_is_called_by_what_a_reader_knows_it_by() -> None:
    assert title(Add()) == "add"
    assert title(Opaque("aten.softmax.int")) == "aten.softmax.int"
    assert title(Table((("abs", "x"), ("sqrt", "x1")))) == "abs, sqrt"
