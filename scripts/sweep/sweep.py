"""A sweep from its jobs to its table: each row is kept as its point ends, and all are shown."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts import writing
from scripts.boards import devices
from scripts.boards.login import Login
from scripts.console import Console, size
from scripts.errors import SweepError, UsageError
from scripts.pipeline import forecast
from scripts.pipeline.options import checked_text, flag, number, path
from scripts.sweep import cluster, jobs, local, page
from scripts.sweep.cluster import Runner
from scripts.sweep.grid import Sweep
from scripts.sweep.jobs import Job
from scripts.sweep.machine import Outcome
from scripts.sweep.table import ABSENT, BUILT, Row, Table, exactness
from scripts.sweep.trials import Trials
from scripts.words import counted, excerpt, headline, quoted

_JSON, _PAGE = "sweep.json", "sweep.html"
# Letters of a reason in a table: all of it is said as a point ends, and on the page.
_ROOM = 60
# Letters of a path that a file names which anybody may have written.
_LONGEST = 200


def runner(console: Console, **options: str | None) -> Runner:
    """Return what runs the jobs of a sweep: a cluster where one is named, else this machine.

    Args:
        console: is told what a user should know.
        options: the texts of one of `jobs`, `scheduler` and `hosts`, or of none.

    Raises:
        UsageError: several are there, or one cannot be meant.
    """
    said = {name: text for name, text in options.items() if text}
    if len(said) > 1:
        both = " and ".join(map(flag, list(said)[:2]))
        raise UsageError(f"{both} contradict each other.", remedy="leave one of them out")
    if address := said.get("scheduler"):
        return cluster.at(address, console.note)
    if file := said.get("hosts"):
        return cluster.on(checked_text("hosts", file, path), console.note)
    count = int(checked_text("jobs", said.get("jobs"), number("1 or more, whole", _is_count)) or 0)
    return lambda jobs: local.run(jobs, count or local.at_once(), forecast.available_memory())


def _is_count(value: float) -> bool:
    return value >= 1 and value.is_integer()


def run(
    console: Console,
    sweep: Sweep,
    runner: Runner,
    crew: Sequence[Login] = (),
    known: Path = devices.FILE,
) -> None:
    """Bring every point to its end, and write what came of them.

    Args:
        console: is told what becomes of points.
        sweep: what to build.
        runner: what runs its jobs.
        crew: how to log in to its boards, which `trials.crew` says.
        known: the `devices.toml` of those boards.

    Raises:
        SweepError: points failed, missed their gates or were not tried on every board; all others
            are built.
        UsageError: the table of another file stands in its folder.
    """
    work, folder = _work(console, sweep), sweep.points[0].folder.parent
    table = _fresh(sweep, work)
    _claim(folder, table)
    console.note(f"{counted(len(sweep.points), 'point')}, {counted(len(work), 'job')}: {folder}")
    try:
        for job, outcome in runner(work):
            table = _ended(console, table, job, outcome)
            _write(folder / _JSON, table)
        for row in Trials(console, crew, work, known).rows(table):
            table = _tried(console, table, row)
            _write(folder / _JSON, table)
    finally:
        if any(row.outcome for row in table.rows):
            writing.replace(folder / _PAGE, page.html(table, folder).encode())
    _show(console, table, folder)
    _require_built(table)


def _work(console: Console, sweep: Sweep) -> list[Job]:
    """Return the jobs of a sweep; what is said with --verbose goes to their logs."""
    work = jobs.of(sweep.points)
    more = ("--verbose",) if console.verbose else ()
    return [replace(job, words=(*job.words, *more)) for job in work]


def _claim(folder: Path, table: Table) -> None:
    """Make the folder of a sweep, and refuse one that another file's table stands in.

    A file that was moved is not there any more, so its table is of the file it is now.
    """
    file, path = table.sweep.file, folder / _JSON
    owner = _owner(path)
    if owner and not owner.samefile(file):
        raise UsageError(
            f"{folder} has the table of {excerpt(str(owner), _LONGEST)}, another file of the same "
            f"name as {file}.",
            remedy=f"rename {file.name}, or give another --build-dir; to replace that table, "
            f"remove {quoted(path)}",
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _write(path, table)


def _owner(path: Path) -> Path | None:
    """Return the file that a table is of; None where it is gone, or the table is none of ours."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        owner = Path(json.loads(path.read_text())["file"])
        return owner if owner.is_file() else None
    return None


def _fresh(sweep: Sweep, work: Sequence[Job]) -> Table:
    logs = {job.point: job.log for job in work}
    return Table(sweep, [Row(point, logs[point.name]) for point in sweep.points])


def _ended(console: Console, table: Table, job: Job, outcome: Outcome) -> Table:
    """Return the table with what came of a job, and say that."""
    rows = {row.point.name: row for row in table.rows}
    if not job.point:
        if not outcome.error:
            console.finished(f"{job.words[0]} of several points", outcome.seconds)
        return table
    row = rows[job.point] = replace(rows[job.point], outcome=outcome)
    if outcome.error:
        console.note(f"{table.label(row)}: {row.state}: {_why(row)}")
    else:
        console.finished(f"{table.label(row)}: {_figures(row)}", outcome.seconds)
    return replace(table, rows=list(rows.values()))


def _tried(console: Console, table: Table, row: Row) -> Table:
    """Return the table with what boards made of a point, and say that."""
    states = ", ".join(f"{verdict.board} {verdict.state}" for verdict in row.boards)
    console.note(f"{table.label(row)}: {states}{': ' if row.error else ''}{_why(row)}")
    rows = {other.point.name: other for other in table.rows} | {row.point.name: row}
    return replace(table, rows=list(rows.values()))


def _figures(row: Row) -> str:
    texts = (
        "" if row.milliseconds is None else f"{row.milliseconds:g} ms",
        "" if row.measured is None else f"{row.measured:.3g} ms on boards",
        "" if row.cosine is None else f"cosine {exactness(row.cosine)}",
        size(row.size) if row.size else "",
    )
    return ", ".join(text for text in texts if text)


def _why(row: Row) -> str:
    """Return why a point is not built, or failed on boards, and what mends it, in a line."""
    return " ".join(map(_sentences, row.errors))


def _sentences(error: Mapping[str, Any]) -> str:
    first, *reasons = (line.strip() for line in str(error["what"]).splitlines())
    what = f"{first} {'; '.join(reasons)}".strip()
    return f"{what} What to do: {error['remedy']}" if error["remedy"] else what


def _in_short(row: Row) -> str:
    """Return as much of why a point is not built, or failed on boards, as a table has room for."""
    what = headline(str(row.error["what"])) if row.error else ""
    return textwrap.shorten(what, _ROOM, placeholder=" ...")


def _write(path: Path, table: Table) -> None:
    writing.replace(path, json.dumps(table.record(), indent=1).encode(), synced=True)


def _show(console: Console, table: Table, folder: Path) -> None:
    rows = [(table.label(row), row.state, _figures(row), _in_short(row)) for row in table.rows]
    console.table(f"sweep {table.sweep.name}", rows)
    for network in table.networks:
        bests = ((best.bound, best.row) for best in network.best())
        choices = [(bound, table.label(row) if row else "none") for bound, row in bests]
        if choices:
            console.table(network.title, choices)
    console.note(f"to look at: {folder / _PAGE}")
    console.result(str(folder / _JSON), **table.record(), report=str(folder / _PAGE))


def _require_built(table: Table) -> None:
    others = [row for row in table.rows if row.state != BUILT]
    if others:
        what = "not built, or failed on boards" if table.sweep.boards else "not built"
        raise SweepError(
            f"{counted(len(others), 'point')} of {len(table.rows)} {what}, the first: "
            f"{table.label(others[0])}, {others[0].state}.",
            remedy=f"{_PAGE} says why of each; the same command goes on where this one ended",
        )
    absent = {row.board for point in table.rows for row in point.boards if row.state == ABSENT}
    if absent:
        raise SweepError(
            f"{', '.join(sorted(absent))} not reached: not every point was tried on every board.",
            remedy="the same command tries what is left",
        )
