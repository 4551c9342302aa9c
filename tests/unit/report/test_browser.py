"""The page in a real browser: Chromium of Debian, on screens of a telephone and of a desk."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts.report import comparison, page
from scripts.report.record import Artefact, Run, Stage
from tests import reports
from tests.unit.report import browser
from tests.unit.report.browser import Browser
from tests.unit.sweep import files

pytestmark = pytest.mark.skipif(
    not (browser.CHROMIUM and browser.DRIVER),
    reason="no browser here: apt-get install chromium chromium-driver",
)
RUN = Run((Stage("export", 17.5, 1_000_000, ran=True),), Artefact("x.tar.gz", 9, 64 * "a"))
SCREENS = [(width, scheme) for width in (360, 1600) for scheme in ("light", "dark")]
# WCAG 2.2, 1.4.3: relative luminance, and the ratio that text of this size needs.
CONTRAST = """
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const light = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const luminance = c => 0.2126 * light(c[0]) + 0.7152 * light(c[1]) + 0.0722 * light(c[2]);
const behind = node => {
  for (; node; node = node.parentElement) {
    const colour = rgb(getComputedStyle(node).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const faults = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let count = 0;
for (let text; (text = walker.nextNode());) {
  const element = text.parentElement, style = getComputedStyle(element);
  if (!text.data.trim() || !element.checkVisibility() || element.closest("script, style")) continue;
  const ink = rgb(element.closest("svg") ? style.fill : style.color);
  const both = [luminance(ink), luminance(behind(element))].sort((a, b) => b - a);
  const ratio = (both[0] + 0.05) / (both[1] + 0.05), size = parseFloat(style.fontSize);
  count++;
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  if (ratio < (large ? 3 : 4.5)) faults.push(text.data.trim() + " " + ratio.toFixed(2));
}
return [count, faults];
"""
UNDECODED = """
return Promise.all([...document.images].map(image =>
  image.decode().then(() => image.naturalWidth > 0 ? "" : image.alt, () => image.alt)
)).then(names => [names.length, names.filter(name => name)]);
"""
# Text that reaches beyond its box or the screen, apart from what is meant to be wider.
OVERFLOW = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll("body *")].filter(element =>
  element.getClientRects().length && element.getBoundingClientRect().right > width + 0.5
).map(element => element.tagName + " " + element.textContent.slice(0, 40));
"""
# Text of a chart that reaches beyond it, or lies on another.
CUT = """
const faults = [];
for (const chart of document.querySelectorAll("svg")) {
  const {x, y, width, height} = chart.viewBox.baseVal;
  const texts = [...chart.querySelectorAll("text")].map(text => [text.textContent, text.getBBox()]);
  texts.forEach(([words, box], place) => {
    if (box.x < x || box.x + box.width > x + width || box.y + box.height > y + height)
      faults.push(words + " is cut");
    for (const [others, other] of texts.slice(place + 1))
      if (box.x < other.x + other.width && other.x < box.x + box.width
          && box.y + 3 < other.y + other.height && other.y + 3 < box.y + box.height)
        faults.push(words + " lies on " + others);
  });
}
return faults;
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.opened() as opened:
        yield opened


def unlike(record: dict[str, Any]) -> dict[str, Any]:
    """A record of the same title that differs in what is long on a page of two builds."""
    name = "layer.11.attention.rotary.k_proj.MatMul.channels_last"
    return {
        **record,
        "missed": ["cls_mean", "cls_p1", "patch_mean"],
        "bytes": {"final_binary/int8/dinov3_int8_htp.serialized.bin": 123_456_789},
        "measures": {"simulator against CPU, last hidden state": "0.99732 (at least 0.98833)"},
        "tensors": {**record["tensors"], name: [8, -0.568604, 0.497528]},
    }


@pytest.fixture(
    scope="module", params=["int8", "mixed", "fp16", "run", "diff", "sweep", "sweep of one"]
)
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of every kind that there is."""
    folder, kind = tmp_path_factory.mktemp(request.param.replace(" ", "-")), str(request.param)
    path = folder / "page.html"
    if kind.startswith("sweep"):
        path.write_text(files.page(folder) if kind == "sweep" else files.page_of_one(folder))
        return path
    precision = kind if kind in ("mixed", "fp16") else "int8"
    build = reports.build(folder / "build", precision)
    path.write_text(reports.html(build, precision, RUN if kind == "run" else None))
    if kind == "diff":
        record = comparison.load(path)
        path.write_text(page.side_by_side(comparison.compare(record, unlike(record))))
    return path


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_it_fits_is_read_easily_and_asks_for_nothing(
    chromium: Browser, shown: Path, width: int, scheme: str
) -> None:
    chromium.open(shown, width=width, scheme=scheme)
    assert chromium.console() == []
    assert chromium.requests() == [shown.resolve().as_uri()]
    images, undecoded = chromium.run(UNDECODED)
    assert undecoded == []
    assert images or any(kind in str(shown) for kind in ("diff", "sweep"))
    assert chromium.run("return document.documentElement.scrollWidth") == width
    assert chromium.run(OVERFLOW) == []
    assert chromium.run(CUT) == []
    texts, faint = chromium.run(CONTRAST)
    assert texts > 20
    assert faint == []


def test_faults_of_a_page_are_seen(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        '<title>x</title><link rel="icon" href="data:,"><p style="color:#aaa">faint</p>'
        '<p style="width:900px">wide</p><img src="data:image/png;base64,AAAA" alt="broken">'
        '<script>console.error("wrong"); fetch("http://asked.test/");</script>'
    )
    chromium.open(path, width=360)
    assert chromium.run(UNDECODED)[1] == ["broken"]
    assert any("http://asked.test/" in url for url in chromium.requests())
    assert any("wrong" in line for line in chromium.console())
    assert chromium.run(CONTRAST)[1] == ["faint 2.32"]
    assert "P wide" in chromium.run(OVERFLOW)


def test_dark_is_dark_and_print_is_light(chromium: Browser, shown: Path) -> None:
    colours = []
    for scheme in ("light", "dark"):
        chromium.open(shown, width=360, scheme=scheme)
        colours.append(chromium.run("return getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(20, 23, 26)"]
    assert chromium.run("return matchMedia('print').matches") is False


def picture(chromium: Browser, path: Path, selector: str) -> Any:
    chromium.open(path, width=1600)
    image = Image.open(BytesIO(chromium.picture(selector))).convert("RGB")
    return np.asarray(image, np.float64)


def test_scrambled_features_look_otherwise_at_a_glance(chromium: Browser, tmp_path: Path) -> None:
    """Patches in another order: what a context does that takes its input in a wrong layout."""
    build = reports.build(tmp_path / "build")
    pages = {name: tmp_path / f"{name}.html" for name in ("good", "again", "scrambled")}
    for name in ("good", "again"):
        pages[name].write_text(reports.html(build))
    features = build / "reports/int8/features.npz"
    arrays = dict(np.load(features))
    np.savez(features, **{**arrays, "context": arrays["context"].swapaxes(1, 2)})
    pages["scrambled"].write_text(reports.html(build))
    shown = {name: picture(chromium, path, "#features") for name, path in pages.items()}
    assert np.abs(shown["good"] - shown["again"]).max() == 0
    changed = np.abs(shown["good"] - shown["scrambled"]).max(axis=-1) > 32
    assert changed.mean() > 0.03
