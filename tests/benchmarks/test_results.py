import pytest

from benchmarks.results import filled


def test_only_what_is_between_markers_is_replaced() -> None:
    page = "a <!-- x -->old<!-- /x --> b <!-- y --><!-- /y --> c"
    assert filled(page, {"x": "new"}) == "a <!-- x -->\nnew\n<!-- /x --> b <!-- y --><!-- /y --> c"


@pytest.mark.parametrize("page", ["", "<!-- x -->", "<!-- /x -->"])
def test_a_page_without_the_place_is_not_touched(page: str) -> None:
    with pytest.raises(ValueError, match="no place for x"):
        filled(page, {"x": "new"})
