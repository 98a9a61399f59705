from tests.conformance.page import PAGE, page, section
from zeropoint.ops import FAMILIES, table


def test_the_page_is_that_of_the_operators() -> None:
    """If not: python -m tests.conformance.page."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_integer_operator_has_its_section() -> None:
    text = page()
    for family in FAMILIES:
        assert (
            not family.OPS
            or section(family) in text
            or family.__name__.endswith(("dropout", "opaque"))
        )


def test_a_section_has_forms_torchs_names_and_titles_of_the_suite() -> None:
    text = section(table)
    assert text.startswith("## Table\n\nAny function of one value")
    assert "integer   q_y = T[q_x]" in text
    assert "`sigmoid`" in text
    assert "In the suite: `table`" in text
