"""The report in a real browser: what a reader clicks, types and sees."""

import pytest
from selenium.webdriver import ActionChains

from tests.report.page.browser.conftest import PHONE, Keys, Page
from tests.report.page.documents import HOSTILE, HOSTILE_LINE, made_up
from zeropoint.report.page.html.glossary import GLOSSARY

SECOND = "block0.0.conv"
NEXT_FRAME = "return new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def test_the_page_fetches_nothing_and_works_offline(page: Page) -> None:
    page.command("Network.enable")
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    page.command("Network.emulateNetworkConditions", **offline)
    page.open()
    assert page.script("return performance.getEntriesByType('resource').length") == 0
    assert len(page.names) == 12
    page.command("Network.emulateNetworkConditions", **{**offline, "offline": False})


def test_the_costliest_layer_is_chosen_at_first(page: Page) -> None:
    assert page.chosen == "block0.2.conv"
    assert page.find("tr[aria-current] .name button").text == "block0.2.conv"


def test_a_chosen_layer_shows_its_facts_and_all_of_its_plots(page: Page) -> None:
    page.open(f"{SECOND}.out")
    titles = [title.text for title in page.all("#detail-charts figcaption b")]
    assert titles == [
        "Activations",
        "Weights",
        "Where the error comes from",
        "Float against integers",
        "Other scales",
        "Channels",
    ]
    assert len(page.all("#detail-charts svg")) == 5
    assert "u8, scale 0.02, zero point 3, codes 0 to 255" in page.find("#detail-where").text
    assert "dB" in page.find("#detail-facts").text


def test_every_range_is_drawn_in_the_histogram_and_the_one_in_use_stands_out(page: Page) -> None:
    page.open(f"{SECOND}.out")
    first = page.all("#detail-charts svg")[0]
    assert "MovingAverage" in first.text
    assert len(page.all("#detail-charts figure:first-child .range")) == 7
    assert len(page.all("#detail-charts figure:first-child .range.is-chosen")) == 1


def test_no_layer_breaks_the_panel(page: Page) -> None:
    for name in page.names:
        page.script(f"location.hash = '#layer=' + encodeURIComponent({name!r} + '.out')")
        assert page.shows(name)
        assert "NaN" not in str(page.find("#detail").get_attribute("innerHTML"))
        assert "undefined" not in page.find("#detail").text


# --- the table ---------------------------------------------------------------------------------


def test_a_column_sorts_up_and_down_and_says_so(page: Page) -> None:
    button = page.find("[data-sort=sqnr]")
    by_sqnr = {layer["name"]: layer["sqnr_db"] for layer in made_up()["layers"]}
    ascending = sorted(by_sqnr, key=lambda name: float(by_sqnr[name]))
    button.click()
    assert page.names == ascending
    assert page.find("th:has([data-sort=sqnr])").get_attribute("aria-sort") == "ascending"
    button.click()
    assert page.names == ascending[::-1]
    assert page.find("th:has([data-sort=sqnr])").get_attribute("aria-sort") == "descending"
    assert len(page.all("th[aria-sort]")) == 1


def test_what_is_unknown_stands_last_however_it_is_sorted(page: Page) -> None:
    button = page.find("[data-sort=gain]")
    button.click()
    assert page.names[-1] == "x"
    button.click()
    assert page.names[-1] == "x"


def test_names_are_sorted_as_numbers_count(page: Page) -> None:
    page.find("[data-sort=name]").click()
    blocks = [name for name in page.names if name.startswith("block")]
    assert blocks[:2] == ["block0.0.conv", "block0.1.conv"]
    assert blocks[-1] == "block3.0.conv"


def test_the_filter_keeps_what_has_all_the_words(page: Page) -> None:
    page.find("#filter").send_keys("BLOCK1 conv2d")
    assert page.names == ["block1.0.conv", "block1.1.conv", "block1.2.conv"]
    assert page.find("#count").text == "3 of 12 layers"


def test_a_filter_that_keeps_nothing_offers_a_way_back(page: Page) -> None:
    page.find("#filter").send_keys("no such layer")
    assert page.names == []
    page.find("#clear").click()
    assert len(page.names) == 12
    assert page.find("#count").text == "12 layers"


def test_layers_with_findings_can_be_kept_alone(page: Page) -> None:
    page.find("#with-findings").click()
    assert page.names == ["block0.1.conv", HOSTILE]
    assert page.find("#with-findings").get_attribute("aria-pressed") == "true"


def test_a_slash_goes_to_the_filter_and_is_not_typed(page: Page) -> None:
    page.press("/")
    assert page.script("return document.activeElement.id") == "filter"
    assert page.find("#filter").get_attribute("value") == ""
    page.press("a/b")
    assert page.find("#filter").get_attribute("value") == "a/b"
    page.press(Keys.ESCAPE)
    assert page.find("#filter").get_attribute("value") == ""


# --- choosing a layer --------------------------------------------------------------------------


def test_a_click_on_a_row_chooses_and_the_address_says_which(page: Page) -> None:
    page.find(f"tr[data-value='{SECOND}.out'] td:first-child").click()
    assert page.chosen == SECOND
    assert page.script("return location.hash") == f"#layer={SECOND}.out"
    assert page.find(f"#map a[data-value='{SECOND}.out']").get_attribute("aria-current") == "true"


def test_arrow_keys_walk_the_table_as_it_is_sorted(page: Page) -> None:
    page.find("[data-sort=codes]").click()
    names = page.names
    page.find(".layers tbody tr:first-child .name button").click()
    page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.chosen == names[2]
    page.press(Keys.ARROW_UP)
    assert page.chosen == names[1]
    page.press(Keys.END)
    assert page.chosen == names[-1]
    page.press(Keys.HOME)
    assert page.chosen == names[0]
    assert page.script("return document.activeElement.textContent") == names[0]


def test_enter_goes_from_the_row_to_its_plots(page: Page) -> None:
    page.find(f"tr[data-value='{SECOND}.out'] .name button").click()
    page.press(Keys.ENTER)
    assert page.script("return document.activeElement.id") == "detail"


def test_tab_reaches_one_row_and_the_focus_shows(page: Page) -> None:
    assert len(page.all(".layers .name button[tabindex='0']")) == 1
    page.press("/")
    for _ in range(20):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        if page.script("return document.activeElement.closest('tbody') !== null"):
            break
    style = "return getComputedStyle(document.activeElement).outlineStyle"
    assert page.script("return document.activeElement.textContent") == "block0.2.conv"
    assert page.script(style) == "solid"


def test_tab_reaches_a_row_when_the_filter_hides_the_chosen_one(page: Page) -> None:
    page.find("#filter").send_keys("block2")
    visible = "tr:not([hidden]) .name button[tabindex='0']"
    assert [button.text for button in page.all(visible)] == ["block2.0.conv"]


def test_the_buttons_step_through_the_layers(page: Page) -> None:
    page.open("x.out")
    assert not page.find("#previous").is_enabled()
    page.find("#next").click()
    assert page.chosen == SECOND


def test_an_address_that_changes_chooses_another_layer(page: Page) -> None:
    page.script(f"location.hash = '#layer={SECOND}.out'")
    assert page.shows(SECOND)


def test_an_address_that_names_no_layer_does_no_harm(page: Page) -> None:
    for fragment in ("#layer=nothing", "#layer=%E0%A4%A", "#elsewhere"):
        page.script(f"location.hash = '{fragment}'; {NEXT_FRAME}")
        assert page.chosen == "block0.2.conv"


def test_a_click_in_the_drawing_chooses(page: Page) -> None:
    page.find(f"#map a[data-value='{SECOND}.out'] rect").click()
    assert page.shows(SECOND)


def test_the_drawing_is_walked_with_arrow_keys(page: Page) -> None:
    page.script(f"document.querySelector('#map a[data-value=\"{SECOND}.out\"]').focus()")
    page.press(Keys.ARROW_DOWN)
    page.press(Keys.ENTER)
    assert page.shows("block0.1.conv")


def test_the_drawing_shows_another_number_when_asked(page: Page) -> None:
    node = page.find(f"#map a[data-value='{SECOND}.out']")
    before = node.text
    page.find("#colour option[value=gain]").click()
    layer = next(layer for layer in made_up()["layers"] if layer["name"] == SECOND)
    assert node.text != before
    assert f"{layer['gain_db']:+.2f}".replace("-", "\N{MINUS SIGN}") in node.text
    assert page.find("#scale").text.split("\n")[0] == "3+ dB"


# --- everything else ---------------------------------------------------------------------------


def test_names_and_lines_that_mean_harm_are_text(page: Page) -> None:
    page.open(f"{HOSTILE}.out")
    assert page.chosen == HOSTILE
    assert HOSTILE_LINE in page.find("#detail-where").text
    assert page.script("return window.harm === undefined")
    assert len(page.all("script")) == 3
    assert len(page.all("img")) == 0


def test_the_browser_runs_no_script_but_the_report_s_own(page: Page) -> None:
    page.command("Page.enable")
    page.script(
        "window.blocked = [];"
        "addEventListener('securitypolicyviolation', e => blocked.push(e.violatedDirective));"
        "const script = document.createElement('script');"
        "try { script.textContent = 'window.harm = 3' } catch { blocked.push('trusted-types') }"
        "document.body.append(script);"
    )
    assert page.script("return window.harm === undefined")
    assert page.script("return blocked.length > 0")
    page.driver.get_log("browser")  # type: ignore[no-untyped-call]  # it says that it refused


def test_the_theme_is_the_system_s_until_another_is_chosen_and_then_remembered(page: Page) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    light = page.script(background)
    page.open(dark=True)
    dark = page.script(background)
    assert dark != light
    assert page.find("#theme").text == "Light theme"
    page.find("#theme").click()
    assert page.script(background) == light
    page.open(dark=True)
    assert page.script(background) == light


@pytest.mark.parametrize("layer", ["", "x.out", f"{HOSTILE}.out"])
def test_a_phone_never_scrolls_sideways(page: Page, layer: str) -> None:
    page.open(layer, size=PHONE)
    assert page.script("return document.documentElement.scrollWidth") <= PHONE[0]
    width = page.script(
        "return Math.max(...[...document.querySelectorAll('#detail *')]"
        ".map(element => element.getBoundingClientRect().right))"
    )
    assert width <= PHONE[0]


@pytest.mark.parametrize("width", [1600, 1200, 1000, 600])
def test_the_table_leaves_columns_out_rather_than_being_cut_off(page: Page, width: int) -> None:
    page.resize((width, 900))
    page.script(NEXT_FRAME)
    box = "document.getElementById('table-scroll')"
    assert page.script(f"return {box}.scrollWidth <= {box}.clientWidth")
    assert page.find("[data-sort=gain]").is_displayed()


def test_plots_are_drawn_again_when_the_window_is_resized(page: Page) -> None:
    before = page.find("#detail-charts svg").get_attribute("width")
    page.resize(PHONE)
    page.script(NEXT_FRAME)
    assert page.find("#detail-charts svg").get_attribute("width") != before


def test_a_term_is_explained_where_it_has_the_focus(page: Page) -> None:
    page.script("document.querySelector('.tile .term').focus()")
    assert page.find(".tip").text == GLOSSARY["flips"][1]
    page.press(Keys.ESCAPE)
    assert not page.find(".tip").is_displayed()


def test_every_explanation_exists(page: Page) -> None:
    missing = page.script(
        "return [...document.querySelectorAll('[aria-describedby]')]"
        ".map(e => e.getAttribute('aria-describedby')).filter(id => !document.getElementById(id))"
    )
    assert missing == []


def test_every_control_has_a_name(page: Page) -> None:
    unnamed = page.script(
        "return [...document.querySelectorAll('button, input, select, a')].filter(e =>"
        " !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"
    )
    assert unnamed == 0


def test_on_paper_nothing_is_cut_off(page: Page) -> None:
    page.command("Emulation.setEmulatedMedia", media="print")
    assert page.script(
        "const box = document.getElementById('table-scroll');"
        "return box.scrollHeight <= box.clientHeight + 1"
    )
    page.command("Emulation.setEmulatedMedia", media="")
