"""Boards of a sweep: what is built is tried on them, the first by itself, then wave after wave.

A trial (`boards.try_out`) runs an archive beside the release that is in use, and leaves that in
use. What a board measures is noted beside the point's build, by the digest of its archive: a sweep
that is run again does not measure it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from scripts import board_runs, boards, digests, errors
from scripts.boards import devices, fitness, fleet, login, measured
from scripts.boards.devices import Device
from scripts.boards.fitness import Refusal
from scripts.boards.login import Login
from scripts.boards.probe import Facts
from scripts.catalog import Target
from scripts.console import Console
from scripts.errors import ArtefactError, DeviceError, HostKeyError, PipelineError
from scripts.package import package
from scripts.sweep import grid, machine
from scripts.sweep.attached import lifeline
from scripts.sweep.grid import Sweep
from scripts.sweep.jobs import Job
from scripts.sweep.table import ABSENT, BUILT, PASSED, REFUSED, UNTRIED, Row, Table, Verdict

# What a command says that is run here for a point after its build.
_LOG = "boards.log"
Outcomes = Mapping[str, str | Exception]


def crew(console: Console, sweep: Sweep) -> list[Login]:
    """Return how to log in to the boards of a sweep, after a look at them before any build.

    A board that does not answer is a note: it is asked again once points are built.

    Raises:
        MismatchError: a board is not what a point is built for.
        HostKeyError: a board's host key is unknown or has changed.
        UsageError: a key or a password is missing.
    """
    with grid.at(sweep.file, grid.BOARDS):
        return _fitting(console, sweep)


def _fitting(console: Console, sweep: Sweep) -> list[Login]:
    targets = {point.request.target.name: point.request.target for point in sweep.points}.values()
    for device, target in product(sweep.boards, targets):
        _refuse(device, target, fitness.declared_soc(device, target.socs, target.name))
    all_logins = login.logins(sweep.boards)
    answers = boards.look(all_logins, console)
    for device in sweep.boards:
        answer = answers[device.name]
        if isinstance(answer, Facts):
            for target in targets:
                _refuse(device, target, fitness.soc(answer, target.socs, target.name))
        elif isinstance(answer, DeviceError) and not isinstance(answer, HostKeyError):
            console.note(f"{_away(answer)}: asked again once points are built")
        else:
            raise answer
    return all_logins


def _refuse(device: Device, target: Target, refusals: Iterable[Refusal]) -> None:
    what = f"{device.name}, one of the boards, is none for points of {target.name}"
    fitness.require_none(what, refusals)


class Trials:
    """The boards of a sweep, and which of them cannot be reached any more."""

    def __init__(
        self,
        console: Console,
        crew: Sequence[Login],
        work: Sequence[Job],
        file: Path = devices.FILE,
    ) -> None:
        self._console, self._crew, self._file = console, crew, file
        self._jobs = {job.point: job for job in work if job.point}

    def rows(self, table: Table) -> Iterator[Row]:
        """Yield each row that is built, with what every board made of it."""
        for row in table.rows if self._crew else ():
            if row.state == BUILT:
                yield replace(row, boards=self._verdicts(row))

    def _verdicts(self, row: Row) -> tuple[Verdict, ...]:
        outcomes: Outcomes = {}
        known: dict[str, Verdict] = {}
        try:
            archive = self._archive(row)
            digest = package.check(archive).digest
            known = self._known(archive, digest)
            outcomes = self._tried(
                archive, [member for member in self._crew if _name(member) not in known]
            )
            known = self._known(archive, digest)
        except (PipelineError, OSError) as error:  # of the archive: no board was asked
            self._console.traced(error)
            outcomes = {_name(member): error for member in self._crew}
        if any(name in known for name in outcomes):
            self._run_here(row)  # its page shows what boards measured
        names = map(_name, self._crew)
        return tuple(known.get(name) or self._other(name, outcomes.get(name)) for name in names)

    def _known(self, archive: Path, digest: str) -> dict[str, Verdict]:
        """Return what boards measured of an archive with the settings that they have now."""
        runs = dict(board_runs.of_release(measured.beside(archive), digest))
        verdicts = ((_name(member), _passed(member.device, runs)) for member in self._crew)
        return {name: verdict for name, verdict in verdicts if verdict}

    def _tried(self, archive: Path, crew: Sequence[Login]) -> Outcomes:
        """Try an archive on boards, except those that cannot be reached."""
        crew = [member for member in crew if _name(member) not in self._absent]
        if not crew:
            return {}
        outcomes = boards.try_out(archive, crew, file=self._file, console=self._console)
        self._absent.update(self._left_out(outcomes))
        return outcomes

    @cached_property
    def _absent(self) -> dict[str, DeviceError]:
        """The boards that are left out, and why; who does not answer at the first trial is."""
        return dict(self._left_out(boards.look(self._crew, self._console)))

    def _left_out(self, answers: Mapping[str, object]) -> Iterator[tuple[str, DeviceError]]:
        for name, answer in answers.items():
            if (error := _unreached(answer)) is not None:
                self._console.note(f"{_away(error)}: left out, tried by the same command later")
                yield name, error

    def _other(self, name: str, outcome: str | Exception | None) -> Verdict:
        """Return the verdict of a board that measured nothing."""
        if isinstance(outcome, Exception) and not _unreached(outcome):
            return Verdict(name, REFUSED, error=machine.record(_named(outcome)))
        if isinstance(outcome, str):
            return Verdict(name, PASSED)
        if error := self._absent.get(name):
            return Verdict(name, ABSENT, error=machine.record(error))
        return Verdict(name, UNTRIED)

    def _archive(self, row: Row) -> Path:
        """Return the archive of a point here, brought by the shared cache where there is one."""
        path, expected = row.point.request.archive, row.archive["sha256"]
        if not _is_whole(path, expected) and row.point.request.cache_write:
            self._run_here(row)
        if _is_whole(path, expected):
            return path
        raise ArtefactError(
            f"{path} is not here as it was built.",
            cause="machines share neither a cache nor a build folder",
            remedy="--cache URL --cache-write, or a --build-dir that they share",
        )

    def _run_here(self, row: Row) -> None:
        """Run the command of a point once more, on this machine: nothing is built that is whole."""
        with lifeline() as stdin:
            machine.run(replace(self._jobs[row.point.name], log_name=_LOG), None, stdin)


def _away(error: DeviceError) -> str:
    """Return why a board could not be logged in to, and what to do, in a line."""
    remedy = f" ({error.remedy})" if error.remedy else ""
    return error.what.rstrip(".") + remedy


def _unreached(answer: object) -> DeviceError | None:
    """Return the error of a board that did not let us in at all."""
    return answer if isinstance(answer, DeviceError) and not answer.is_reached else None


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and digests.of_file(path) == sha256


def _passed(device: Device, runs: Mapping[str, Any]) -> Verdict | None:
    """Return what a device measured, None where that is nothing, or was with other settings."""
    with suppress(KeyError, TypeError, ValueError):  # of an older version
        run = runs[device.name]
        report = run["measured"]
        same_npu = device.npu < 0 or device.npu == report["npu"]
        if same_npu and report["perf"] == device.perf:
            milliseconds = round(float(report["p50_us"]) / 1000, 6)
            return Verdict(device.name, PASSED, milliseconds, float(run["golden_cosine"]))
    return None


def _name(member: Login) -> str:
    return member.device.name


def _named(error: Exception) -> Exception:
    """Return an error as a table has it; a fault of this program says what it is."""
    return errors.named(error) or PipelineError(fleet.headline(error))
