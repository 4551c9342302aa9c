"""After a build: its page with the times of this machine, and the summary of a CI service."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts import artefacts, digests
from scripts.boards import measured
from scripts.package import package
from scripts.package.manifest import Manifest
from scripts.pipeline import facts, pages, request
from scripts.pipeline.build import Done
from scripts.pipeline.plan import Stage
from tests import packages, reports

IMAGE: Any = SimpleNamespace()


def step(verb: str, outputs: dict[str, Any] | None = None, *, ran: bool = True) -> Done:
    manifest = {
        "outputs": outputs or {},
        "seconds": 12.5,
        "usage": {"peak_memory_bytes": 7_000_000},
    }
    return Done(Stage(verb, verb, ()), manifest, ran)


@pytest.fixture(autouse=True)
def _no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "gather", lambda *_: reports.HOST)
    monkeypatch.delenv(pages.SUMMARY, raising=False)


def test_a_build_without_a_report_has_no_page(tmp_path: Path) -> None:
    build_request = request.make(build_dir=str(tmp_path))
    assert pages.write(IMAGE, build_request, [step("export")]) is None


def test_the_page_of_a_build_tells_its_times_and_its_archive(tmp_path: Path) -> None:
    build_request = request.make(build_dir=str(tmp_path))
    reports.build(build_request.root)
    archive = str(build_request.archive.relative_to(build_request.root))
    packed = {archive: {"size": 10_862_694, "sha256": 64 * "a"}}
    steps = [step("export", ran=False), step("report"), step("package", packed)]
    page = pages.write(IMAGE, build_request, steps)
    assert page == build_request.root / artefacts.build_page("int8")
    text = page.read_text()
    assert "7.0 MB" in text and 64 * "a" in text and "not run again" in text


def test_the_page_shows_what_boards_measured_of_this_archive(tmp_path: Path) -> None:
    build_request = request.make(build_dir=str(tmp_path))
    reports.build(build_request.root)
    build_request.archive.parent.mkdir(parents=True)
    archive = packages.package(tmp_path / "packed").replace(build_request.archive)
    digest = package.check(archive).digest
    packed = {"size": archive.stat().st_size, "sha256": digests.of_file(archive)}
    outputs = {str(archive.relative_to(build_request.root)): packed}
    steps = [step("report", ran=False), step("package", outputs, ran=False)]
    page = pages.write(IMAGE, build_request, steps)
    assert page and "not measured on a board" in page.read_text()
    run = {"p50_us": 520.0, "p90_us": 601, "p99_us": 703.4}
    manifest = Manifest({"name": "int8", "simulated_latency": {}}, ())
    measured.keep(build_request.root, "bench", digest, manifest, 0.99987, run)
    measured.keep(build_request.root, "shelf", 64 * "b", manifest, 0.5, run)
    measured.keep(build_request.root, "old", digest, manifest, 0.5, {"p50_us": "x"})
    assert pages.write(IMAGE, build_request, steps) == page
    assert all(cell in page.read_text() for cell in ("bench", "0.520", "0.703", "0.999870"))
    assert not [word for word in ("shelf", "old<", "not measured") if word in page.read_text()]


@pytest.mark.parametrize("place", ["no/such/folder", "a folder", "/dev/full"])
def test_a_summary_that_cannot_be_written_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    build_request, notes = request.make(build_dir=str(tmp_path)), list[str]()
    reports.build(build_request.root)
    (tmp_path / "a folder").mkdir()
    monkeypatch.setenv(pages.SUMMARY, str(tmp_path / place))
    page = pages.write(IMAGE, build_request, [step("report")], notes.append)
    assert page and page.is_file()
    assert [f"{pages.SUMMARY}, {tmp_path / place}, cannot" in note for note in notes] == [True]


def test_a_page_that_cannot_be_written_is_a_note(tmp_path: Path) -> None:
    build_request, notes = request.make(build_dir=str(tmp_path)), list[str]()
    reports.build(build_request.root)
    (page := build_request.root / artefacts.build_page("int8")).mkdir()
    assert pages.write(IMAGE, build_request, [step("report")], notes.append) is None
    assert [f"the page {page} cannot be written" in note for note in notes] == [True]


def test_a_summary_is_added_to_what_ci_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_request = request.make(build_dir=str(tmp_path))
    reports.build(build_request.root)
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv(pages.SUMMARY, str(summary))
    pages.write(IMAGE, build_request, [step("report")])
    assert summary.read_text().startswith("before\n## digits int8\n\n✅ passes its gate")
