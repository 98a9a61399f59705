import json
import re
from importlib.resources import files

import pytest

from tests.report.page.documents import HOSTILE, HOSTILE_LINE, Json, made_up
from zeropoint.report.page.html.page import SCRIPTS, bundle, embedded, policy, render

MOST_BYTES = 3_000_000
"""A page of this size is mailed and opened without a thought."""


@pytest.fixture(scope="module")
def document() -> Json:
    return made_up()


@pytest.fixture(scope="module")
def page(document: Json) -> str:
    return render(document)


def test_the_page_names_no_other_place(page: str) -> None:
    known = {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert set(re.findall(r"https?://[^\s\"'<>)]+", page)) == known
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def test_what_comes_from_the_model_is_escaped_everywhere(page: str) -> None:
    assert HOSTILE not in page
    assert HOSTILE_LINE not in page
    assert "<img" not in page
    assert "&lt;script&gt;window.harm = 1&lt;/script&gt;" in page
    assert page.count("<script") == page.count("</script>") == 3


def test_the_data_are_those_of_the_document(page: str, document: Json) -> None:
    data = page.split('id="data">')[1].split("</script>")[0]
    assert json.loads(data) == {"layers": document["layers"]}


def test_no_text_can_end_the_element_that_holds_the_data() -> None:
    text = embedded({"a": "</script><!--<script>&"})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script><!--<script>&"}


def test_the_policy_names_both_scripts_by_their_hashes(page: str) -> None:
    scripts = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    assert policy(*scripts).replace("'", "&#39;") in page


def test_numbers_carry_their_units(page: str) -> None:
    text = re.sub(r"<[^>]+>", "", page).replace("\N{NO-BREAK SPACE}", " ")
    for number in ("44.7", "11.3 MB", "18.0", "6.00 ms", "93.00", "91.00 %", "31.2 dB"):
        assert number in text, number


def test_a_report_of_a_large_network_stays_small() -> None:
    assert len(render(made_up(160)).encode()) < MOST_BYTES


def test_every_script_of_the_folder_is_in_the_page_after_those_that_it_imports() -> None:
    folder = files("zeropoint.report.page.html").joinpath("js")
    names = {entry.name.removesuffix(".js") for entry in folder.iterdir()}
    assert names == {*SCRIPTS, "theme"}
    for place, name in enumerate(SCRIPTS):
        text = folder.joinpath(f"{name}.js").read_text(encoding="utf-8")
        assert set(re.findall(r'from "\./(\w+)\.js"', text)) <= set(SCRIPTS[:place]), name


def test_the_bundle_has_neither_imports_nor_exports() -> None:
    assert re.search(r"^(import|export) ", bundle(), re.MULTILINE) is None


def test_no_script_parses_a_string_as_html() -> None:
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write"):
        assert forbidden not in bundle()


def test_a_network_that_nothing_is_found_in_says_so(document: Json) -> None:
    page = render({**document, "findings": [], "costliest": []})
    assert "The checks found nothing" in page
    assert "What costs the most" not in page
