"""The report of a real build: in the package, the same bytes, and wrong at a glance if it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts import artefacts
from scripts.pipeline import plan
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.request import Request
from scripts.report import comparison
from tests.unit.report import browser

pytestmark = pytest.mark.pipeline


@contextmanager
def in_another_layout(request: Request) -> Iterator[None]:
    """Held-out pictures as NHWC, to a network that takes NCHW."""
    folder, size = request.root / artefacts.image_set("heldout"), request.model.image_size
    contents = {path: path.read_bytes() for path in folder.glob("*.raw")}
    for path, data in contents.items():
        planes = np.frombuffer(data, np.float32).reshape(3, size, size)
        path.write_bytes(planes.transpose(1, 2, 0).tobytes())
    yield
    for path, data in contents.items():
        path.write_bytes(data)


def picture(chromium: browser.Browser, page: Path) -> Any:
    chromium.open(page, width=1600)
    image = Image.open(BytesIO(chromium.picture("#features"))).convert("RGB")
    return np.asarray(image, np.float64)


def test_the_archive_holds_the_report(
    build: Callable[..., list[Done]], ask: Callable[..., Request]
) -> None:
    build()
    page = ask().root / artefacts.report_page("int8")
    assert comparison.load(ask().archive) == comparison.load(page)
    assert page.stat().st_size < 1_000_000


@pytest.mark.skipif(
    not (browser.CHROMIUM and browser.DRIVER),
    reason="no browser here: apt-get install chromium chromium-driver",
)
def test_a_wrong_layout_looks_wrong(
    builder: Builder,
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    tmp_path: Path,
) -> None:
    build()
    pages = {name: tmp_path / f"{name}.html" for name in ("good", "wrong")}
    report = ask().root / artefacts.report_page("int8")
    pages["good"].write_bytes(report.read_bytes())
    ungated = ask(gate=False)
    stages = {stage.verb: stage for stage in plan.stages(ungated)}
    with in_another_layout(ungated):
        builder.build(ungated, [stages["verify"], stages["report"]])
    pages["wrong"].write_bytes(report.read_bytes())
    assert "another input than float32" in pages["wrong"].read_text()
    with browser.opened() as chromium:
        good, wrong = (picture(chromium, page) for page in pages.values())
    changed = np.abs(good[: len(wrong)] - wrong[: len(good)]).max(axis=-1) > 32
    assert changed.mean() > 0.1
