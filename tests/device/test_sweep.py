"""A sweep over real boards: beside what they have in use, canary first, and left as they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts import board_runs, digests
from scripts import boards as deploy
from scripts.boards import measured
from scripts.console import Console
from scripts.errors import SweepError
from scripts.package import package
from scripts.sweep import grid, machine, sweep, trials
from scripts.sweep.grid import Sweep
from scripts.sweep.jobs import Job
from scripts.sweep.machine import Outcome
from tests import packages
from tests.device import boards
from tests.device.conftest import RUNNER, Archive, Bench
from tests.unit.sweep.files import built

pytestmark = pytest.mark.device
Make = Callable[..., Archive]
FIGURES = built(0.1, 0.99)
GRID = 'boards = ["a", "b", "c"]\n[grid]\nprecision = ["int8", "fp16"]\n'


@pytest.fixture
def fleet(tmp_path: Path, bench: Bench) -> Iterator[Mapping[str, boards.Board]]:
    """Three boards that a `devices.toml` knows."""
    with ExitStack() as stack:
        fleet = {
            name: stack.enter_context(boards.board(tmp_path / f"board-{name}")) for name in "abc"
        }
        for board in fleet.values():
            board.put("/etc/ssh/authorized_keys", bench.key.with_suffix(".pub").read_text())
        bench.write(**{name: bench.device(board) for name, board in fleet.items()})
        yield fleet


# Notes which releases are begun, on the board that it is on.
MKDIR = 'echo "$*" >>/tmp/begun; exec /bin/mkdir "$@"'


@pytest.fixture
def mine(tmp_path: Path, bench: Bench, fleet: object) -> Sweep:
    file = tmp_path / "mine.toml"
    file.write_text(GRID)
    return grid.load(file, {"build_dir": str(tmp_path / "build")}, bench.file)


def wrong(folder: Path) -> Archive:
    """Return a package whose runner gives something else than its golden output."""
    runner = RUNNER.replace(b"cat golden/output.raw", b"cat golden/input.raw")
    path = packages.package(folder, runner=runner, seed="wrong")
    return Archive(path, package.check(path).digest)


def run(mine: Sweep, file: Path, *archives: Archive) -> list[dict[str, Any]]:
    """Run a sweep whose points are built to these archives; return the rows of its table."""
    outcomes = {}
    for point, archive in zip(mine.points, archives, strict=True):
        path = point.request.archive
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(archive.path, path)
        said = {"archive": {"sha256": digests.of_file(path)}}
        outcomes[point.name] = replace(FIGURES, document={**FIGURES.document, **said})

    def runner(work: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        yield from ((job, outcomes[job.point]) for job in work if job.point)

    with suppress(SweepError):
        sweep.run(Console(), mine, runner, trials.crew(Console(), mine), file)
    document: dict[str, Any] = json.loads((mine.points[0].folder.parent / "sweep.json").read_text())
    return list(document["rows"])


def releases(board: boards.Board) -> set[str]:
    folders = (board.data / "releases").glob("*")
    return {folder.name for folder in folders if folder.is_dir()}


def test_a_canary_that_fails_ends_its_point_and_boards_are_left_as_they_were(
    tmp_path: Path,
    bench: Bench,
    fleet: Mapping[str, boards.Board],
    mine: Sweep,
    archive: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "run", lambda *_: FIGURES)  # writes the page of a build again
    deploy.deploy(archive("before").path, ["a", "b"], file=bench.file)
    deploy.deploy(archive("back").path, ["b"], file=bench.file)
    deploy.rollback(["b"], file=bench.file)
    before, bad, good = archive("before").digest, wrong(tmp_path / "wrong"), archive("good")
    there = {"a": {before}, "b": {before, archive("back").digest}, "c": set[str]()}
    for board in fleet.values():
        board.fake("mkdir", MKDIR)
    first, second = run(mine, bench.file, bad, good)
    assert [verdict["state"] for verdict in first["boards"]] == ["failed", "not tried", "not tried"]
    assert "a runs the network and gets it wrong" in first["error"]["what"]
    assert [verdict["milliseconds"] for verdict in second["boards"]] == [0.52, 0.52, 0.52]
    # The second wave never saw it. What was in use is, and nothing is left of a trial.
    for name, board in fleet.items():
        begun = (board.root / "tmp/begun").read_text()
        assert (good.digest in begun, bad.digest in begun) == (True, name == "a")
        assert (board.current, releases(board)) == ("" if name == "c" else before, there[name])
        file = board_runs.file_of(measured.beside(mine.points[1].request.archive), name)
        assert [entry["release"] for entry in board_runs.read(file).values()] == [good.digest]
    # What is in use already is tried where it is, and stays.
    first, _ = run(mine, bench.file, archive("before"), good)
    assert [verdict["state"] for verdict in first["boards"]] == ["passed"] * 3
    assert {name: releases(board) for name, board in fleet.items()} == there
    deploy.remote_verify(["a", "b"], file=bench.file)
