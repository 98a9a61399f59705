"""The screenshots of docs/report.md: `python docs/report/screenshots.py` draws them anew.

A small residual network, trained on handwritten digits in seconds, in 8 bits but for one layer of
4, so that there is something to find. Needs Chromium and what `zeropoint[dev]` installs.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

import zeropoint as zp
from zeropoint.demo import digits, train
from zeropoint.report.page.report import report

HERE = Path(__file__).parent
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
COLOURS = 128
CHOSEN = "block2.branch.0"

COARSE = zp.Recipe(activations=zp.TensorSpec(bits=4, symmetric=False, calibrator=zp.MinMax()))


def main() -> None:
    train_loader, test_loader = digits()
    model = train(train_loader)
    q = zp.quantize(model, train_loader, zp.Recipe(overrides={CHOSEN: COARSE}))
    with tempfile.TemporaryDirectory() as folder:
        made = report(model, q, test_loader, Path(folder) / "report.html")
        value = made.analysis.layer(CHOSEN).value
        shoot(made.page.as_uri(), f"#layer={value}")


def shoot(page: str, layer: str) -> None:
    """The top in both themes, the table with the map, the chosen layer, and a phone."""
    browser = shutil.which("chromium") or "google-chrome"
    options = ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    service = Service(shutil.which("chromedriver") or "", log_output=subprocess.DEVNULL)
    driver = Chrome(options=options, service=service)
    take = Camera(driver)
    take.picture("verdict", page, "body", (1280, 720))
    take.picture("layers", page + layer, ".explorer", (1280, 640))
    take.picture("layer", page + layer, "#detail", (1280, 1060), dark=True)
    take.picture("findings", page, "[aria-labelledby=findings-title]", (1280, 560))
    take.picture("phone", page + layer, ".explorer", (390, 844))
    driver.quit()


class Camera:
    """A browser that is told what to show, and keeps what it shows."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def picture(
        self, name: str, url: str, selector: str, size: tuple[int, int], *, dark: bool = False
    ) -> None:
        """The page from the element on, in a window of the size, as `name`.png beside this file."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self._driver.get("about:blank")
        self._driver.get(url)
        self._driver.execute_script(
            "scrollTo(0, document.querySelector(arguments[0]).getBoundingClientRect().top"
            " + scrollY - 14)",
            selector,
        )
        path = HERE / f"{name}.png"
        self._driver.save_screenshot(str(path))
        # A quarter of the size, and nothing that one could see.
        Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
