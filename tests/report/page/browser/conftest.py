"""One headless Chromium for all browser tests; they are skipped where there is none."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.report.page.documents import made_up
from zeropoint.report.page.html.page import render

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP, PHONE = (1280, 900), (380, 800)
PATIENCE = 10
"""Seconds until a test gives up."""


@dataclass
class Page:
    """The page in the browser, with what the tests ask of it."""

    driver: Chrome
    url: str

    def open(self, layer: str = "", *, size: tuple[int, int] = DESKTOP, dark: bool = False) -> None:
        """Load it afresh, perhaps with a layer in its address."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}  # what scrolls is hard to hit
        self.command("Emulation.setEmulatedMedia", features=[scheme, still])
        self.resize(size)
        self.driver.get("about:blank")  # or else a new fragment would load nothing
        self.driver.get(self.url + (f"#layer={quote(layer)}" if layer else ""))

    def resize(self, size: tuple[int, int]) -> None:
        width, height = size
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def command(self, name: str, **arguments: object) -> None:
        self.driver.execute_cdp_cmd(name, arguments)

    def script(self, text: str) -> Any:  # whatever the script returns
        return self.driver.execute_script(text)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, *keys: str) -> None:
        """Keys to whatever has the focus."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def shows(self, name: str) -> bool:
        """True once the layer is in the panel: a new address takes the browser a moment."""
        waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.02)
        return bool(waiting.until(lambda _: self.chosen == name, f"{self.chosen} is chosen"))

    @property
    def chosen(self) -> str:
        """The layer in the panel."""
        return self.find("#detail-name").text

    @property
    def names(self) -> list[str]:
        """The layers in the table, as it stands."""
        found = self.script(
            "return [...document.querySelectorAll('.layers tbody tr')]"
            ".filter(row => !row.hidden).map(row => row.querySelector('button').textContent)"
        )
        return [str(name) for name in found]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    chromedriver = shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        reason = "the report is tested in Chromium: install chromium and chromedriver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_OFFLINE", "true")
        patch.setenv("SE_AVOID_STATS", "true")
        service = Service(executable_path=chromedriver, log_output=subprocess.DEVNULL)
        opened = Chrome(options=options, service=service)
        yield opened
        opened.quit()


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(made_up()), encoding="utf-8")
    return path


@pytest.fixture
def page(driver: Chrome, file: Path) -> Iterator[Page]:
    """The made-up report, opened; the test fails if the console says anything."""
    page = Page(driver, file.as_uri())
    page.open()
    page.script("try { localStorage.clear() } catch {}")
    yield page
    assert driver.get_log("browser") == []  # type: ignore[no-untyped-call]  # selenium leaves it so


__all__ = ["PHONE", "Keys", "Page"]
