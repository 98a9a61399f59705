import pytest

from tests.report.page.documents import HOSTILE, made_up
from zeropoint.report.page.html.glossary import GLOSSARY
from zeropoint.report.page.html.view import COLUMNS, PARTS, rows, view


def test_a_row_has_a_sort_key_for_each_column() -> None:
    document = made_up()
    for row in rows(document["layers"], document["findings"]):
        assert list(row["sort"]) == [column.key for column in COLUMNS]


def test_the_parts_of_an_error_fill_their_bar() -> None:
    for row in rows(made_up()["layers"], []):
        assert sum(part["width"] for part in row["split"]) == pytest.approx(100, abs=0.3)
        assert {part["name"] for part in row["split"]} <= set(PARTS)


def test_a_layer_without_any_error_has_empty_bars() -> None:
    layer = {**made_up()["layers"][1], "noise": dict.fromkeys(PARTS, 0.0), "sqnr_db": None}
    [row] = rows([{**layer, "gain_db": None}], [])
    assert row["split"] == []
    assert row["sort"]["sqnr"] == ""
    assert row["gain_width"] == 0


def test_findings_are_counted_where_they_belong() -> None:
    document = made_up()
    found = {row["name"]: row["findings"] for row in rows(document["layers"], document["findings"])}
    assert found[HOSTILE] == 1
    assert sum(found.values()) == 2


def test_every_term_of_the_table_is_in_the_glossary() -> None:
    assert {column.term for column in COLUMNS if column.term} <= set(GLOSSARY)


def test_the_facts_say_what_was_run_on_what() -> None:
    facts = view(made_up())["facts"]
    assert facts["calibrated on"] == "512 samples"
    assert facts["layers analysed on"] == "128 samples"
