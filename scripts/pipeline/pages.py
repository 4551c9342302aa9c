"""What people look at after a build: its page with this machine's times, a summary for CI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from scripts import artefacts, board_runs, writing
from scripts.console import Console
from scripts.image.image import Image
from scripts.package import package
from scripts.pipeline import facts, summary
from scripts.pipeline.build import Built, Done
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store
from scripts.report import markdown as in_markdown
from scripts.report.comparison import Comparison
from scripts.report.files import Names
from scripts.report.record import Artefact, BoardRun, Report, Run, Stage

# A file that GitHub shows on the page of a run.
SUMMARY = "GITHUB_STEP_SUMMARY"


def write(
    image: Image, request: Request, steps: Sequence[Done], say: Callable[[str], None] = print
) -> Path | None:
    """Write `build.html` where the build has a report, and add to CI's summary where there is one.

    Neither decides on a build that is whole: what cannot be written, it `say`s.

    Returns:
        The page, or None where the stages end before there is a report.
    """
    if not any(step.stage.verb == "report" for step in steps):
        return None
    path = request.root / artefacts.build_page(request.precision.name)
    is_same = not any(step.is_new for step in steps) and SUMMARY not in os.environ
    if is_same and path.is_file() and not _has_later_runs(request.root, path):
        return path
    report = _report(image, request, run=_run(request, steps))
    _add_summary(report, say)
    return _written(path, report, say)


def write_failed(
    image: Image, request: Request, measured: Path, say: Callable[[str], None] = print
) -> Path | None:
    """Write the report of a build that missed its gate, and add to CI's summary.

    Args:
        image: the image of the build.
        request: what was asked for.
        measured: the folder of what the stage measured that refused it.
        say: what is told of a page or summary that cannot be written.

    Returns:
        The page, or None where the build ended before there was anything to show.
    """
    if not (measured / artefacts.verify_report(request.precision.name)).is_file():
        return None
    report = _report(image, request, measured=measured)
    _add_summary(report, say)
    return _written(measured / artefacts.PAGE, report, say)


def _report(
    image: Image,
    request: Request,
    *,
    run: Run | None = None,
    measured: Path | None = None,
) -> Report:
    # Most commands do without what pages are made with, which takes its time to load.
    from scripts.report import reading

    names = Names(request.model, request.precision, request.target)
    host = facts.gather(request, image, Store(request.root).digests.tree)
    return reading.read(request.root, names, host, run, measured)


def _written(path: Path, report: Report, say: Callable[[str], None]) -> Path | None:
    from scripts.report import page

    try:
        return writing.replace(path, page.html(report).encode())
    except OSError as error:
        say(f"the page {path} cannot be written: {error.strerror}")
        return None


def add_together(
    requests: Sequence[Request], results: Sequence[Built], say: Callable[[str], None] = print
) -> None:
    """Add a row on each of several builds to CI's summary where there is one."""
    header = (*summary.HEADER, "SHA-256 of the archive")
    rows = summary.plain_rows(requests, results)
    _add(in_markdown.together(summary.title(requests[0]), header, rows), say)


def _add_summary(report: Report, say: Callable[[str], None]) -> None:
    from scripts.report import figures

    if os.environ.get(SUMMARY):
        _add(in_markdown.build(figures.of(report)), say)


def _add(text: str, say: Callable[[str], None]) -> None:
    if not (path := os.environ.get(SUMMARY)):
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        say(f"{SUMMARY}, {path}, cannot be written: {error.strerror}")


def show(
    console: Console, compared: Comparison, *, markdown: bool = False, html: Path | None = None
) -> None:
    """Show two builds side by side: as tables or Markdown, as JSON, and as a page."""
    if html:
        from scripts.report import page

        html.write_text(page.side_by_side(compared))
        console.note(f"to look at: {html}")
    text = in_markdown.comparison(compared)
    if markdown:
        print(text)
    else:
        _tables(console, compared)
    console.result(text, **compared.record())


def _tables(console: Console, compared: Comparison) -> None:
    header = ("", compared.before, compared.after, "change")
    for part, rows in compared.parts().items():
        cells = [(row.name, row.before, row.after, row.change) for row in rows]
        console.table(part, cells, header)


def _run(request: Request, steps: Sequence[Done]) -> Run:
    archive = str(request.archive.relative_to(request.root))
    outputs = {name: file for step in steps for name, file in step.manifest["outputs"].items()}
    packed = outputs.get(archive)
    return Run(
        tuple(_stage(step) for step in steps),
        Artefact(archive, packed["size"], packed["sha256"]) if packed else None,
        tuple(_board_runs(request)) if packed else (),
    )


def _has_later_runs(folder: Path, page: Path) -> bool:
    """Tell whether a board ran something since a page was written."""
    since = page.stat().st_mtime_ns
    return any(file.stat().st_mtime_ns >= since for file in board_runs.files(folder))


def _board_runs(request: Request) -> Iterator[BoardRun]:
    """Yield what boards measured of the archive, which they know by the digest of its contents."""
    if not board_runs.files(request.root):
        return
    for device, run in board_runs.of_release(request.root, package.check(request.archive).digest):
        with suppress(KeyError, TypeError, ValueError):  # of an older version
            p50, p90, p99 = (float(run["measured"][f"p{part}_us"]) for part in (50, 90, 99))
            yield BoardRun(device, p50, p90, p99, float(run["golden_cosine"]), str(run["at"]))


def _stage(step: Done) -> Stage:
    memory = step.manifest.get("usage", {}).get("peak_memory_bytes", 0)
    return Stage(step.stage.name, step.manifest["seconds"], memory, step.ran)
