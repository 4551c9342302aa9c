"""Chromium, as Debian has it, without a window and without a network."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-color-profile=srgb", "--proxy-server=127.0.0.1:1"),
)


@dataclass(frozen=True)
class Browser:
    """One page at a time, as a person of a certain screen and taste sees it."""

    driver: Chrome

    def open(self, page: Path, *, width: int, scheme: str = "light") -> None:
        """Load a file from disk at a width in CSS pixels, for a light or a dark scheme."""
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get(page.resolve().as_uri())

    def run(self, script: str) -> Any:
        """Return what a script returns in the page."""
        return self.driver.execute_script(script)

    def console(self) -> list[str]:
        """Return what the page wrote to the console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return every address that was asked for since the page was opened, its own data not."""
        messages = (json.loads(entry["message"]) for entry in self.driver.get_log("performance"))
        events = [entry["message"] for entry in messages]
        urls = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def picture(self, selector: str = "html") -> bytes:
        """Return an element as PNG, all of it, also what is below the screen's edge."""
        box = self.run(
            f"const b = document.querySelector({selector!r}).getBoundingClientRect();"
            "return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height};"
        )
        options = {"captureBeyondViewport": True, "clip": {**box, "scale": 1}}
        answer = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)

        return base64.b64decode(answer["data"])


@contextmanager
def opened() -> Iterator[Browser]:
    """Start Chromium with an empty profile, and end it."""
    with tempfile.TemporaryDirectory() as profile:
        options = ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for option in (*_OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = Chrome(options=options, service=ChromeService(str(DRIVER)))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
