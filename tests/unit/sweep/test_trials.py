"""Boards of a sweep: what is refused before any build, waves, failures, what is not done twice."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from scripts import digests
from scripts.boards import fitness, fleet, measured
from scripts.boards.board import listener
from scripts.boards.devices import Device
from scripts.boards.install import Say
from scripts.boards.login import Login
from scripts.boards.probe import Facts
from scripts.console import Console
from scripts.errors import (
    DeviceError,
    GateError,
    HostKeyError,
    MismatchError,
    SweepError,
    UsageError,
)
from scripts.package.package import Unpacked
from scripts.pipeline.options import Text
from scripts.sweep import grid, machine, sweep, trials
from scripts.sweep.grid import Sweep
from scripts.sweep.jobs import Job
from scripts.sweep.machine import Outcome
from tests import packages
from tests.unit.boards.test_fitness import BOARD, MANIFEST
from tests.unit.sweep.files import built, load

NAMES = ("a", "b", "c", "d")
DEVICE = '[devices.{}]\nhost = "h"\nuser = "u"\npath = "/p"\nsoc = "{}"\n'
TEXT = 'boards = {}\n[grid]\nprecision = ["int8", "fp16"]\n'
# How a message begins that is about the file of a sweep.
FILE = r"\S+/mine\.toml"
RUN = {"p50_us": 520.0, "p90_us": 600, "p99_us": 700, "perf": "default", "npu": 0}


def absent(name: str) -> DeviceError:
    error = DeviceError(f"{name} cannot be reached: no route.", remedy="look at its cable")
    error.is_reached = False
    return error


@dataclass
class Boards:
    """Stands in for sessions with boards: what they answer, and what they were asked.

    `fails` are errors by board and point, `tries` are boards and points in their order.
    """

    folder: Path
    facts: dict[str, Facts | Exception] = field(default_factory=dict)
    fails: dict[tuple[str, str], Exception] = field(default_factory=dict)
    tries: list[tuple[str, str]] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def connected(self, login: Login) -> AsyncIterator[str]:
        self.looks.append(login.device.name)
        answer = self.facts.get(login.device.name, BOARD)
        if isinstance(answer, DeviceError) and not answer.is_reached:
            raise answer
        yield login.device.name

    async def probe(self, board: str, *_: object) -> Facts:
        answer = self.facts.get(board, BOARD)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def trial(self, login: Login, shipment: Unpacked, say: Say, results: Path) -> str:
        (point,) = (name for name in ("int8", "fp16") if f"digits-{name}" in str(results))
        self.tries.append((login.device.name, point))
        listener.get()("check.sh releases/new")
        if error := self.fails.get((login.device.name, point)):
            raise error
        package = shipment.package
        run = {**RUN, "perf": login.device.perf}
        measured.keep(results, login.device.name, package.digest, package.manifest, 0.9999, run)
        return "is whole"


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Boards:
    fakes = Boards(tmp_path)
    for name in ("connected", "probe", "trial"):
        monkeypatch.setattr(fleet, name, getattr(fakes, name))
    (tmp_path / "devices.toml").write_text("".join(DEVICE.format(name, "") for name in NAMES))
    return fakes


@pytest.fixture
def ran_here(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The commands of points that ran here beside the runner of the sweep."""
    ran: list[Job] = []

    def run(job: Job, before: Outcome | None, lifeline: int) -> Outcome:
        ran.append(job)
        return built(1, 1)

    monkeypatch.setattr(machine, "run", run)
    return ran


Run = Callable[..., Sequence[dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path, fakes: Boards, ran_here: list[Job]) -> Run:
    """Run a sweep of two points that are built; return the rows of its `sweep.json`."""

    def all_of(
        names: Sequence[str] = NAMES, *, error: str = "", seed: str = "", verbose: bool = False
    ) -> Any:
        mine = load(tmp_path, TEXT.format(list(names)))
        outcomes = {point.name: packed(mine, point.name, seed) for point in mine.points}

        def runner(work: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
            for job in work:
                yield job, outcomes[job.point] if job.point else built(None, 1)

        console = Console(verbose=verbose)
        crew = trials.crew(console, mine)
        fakes.looks.clear()
        fakes.tries.clear()
        if error:
            with pytest.raises(SweepError, match=error):
                sweep.run(console, mine, runner, crew, tmp_path / "devices.toml")
        else:
            sweep.run(console, mine, runner, crew, tmp_path / "devices.toml")
        folder = mine.points[0].folder.parent
        return json.loads((folder / "sweep.json").read_text())["rows"]

    return all_of


def packed(mine: Sweep, name: str, seed: str) -> Outcome:
    """Write the archive of a point; the same seed gives the same one."""
    (point,) = (point for point in mine.points if point.name == name)
    archive = point.request.archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    packages.package(archive.parent / "parts", seed=f"{name}{seed}").replace(archive)
    outcome, said = built(0.1, 0.99), {"sha256": digests.of_file(archive)}
    return replace(outcome, document={**outcome.document, "archive": said})


def states(row: dict[str, Any]) -> dict[str, str]:
    return {verdict["board"]: verdict["state"] for verdict in row["boards"]}


def test_waves_begin_with_one_and_double() -> None:
    assert [len(wave) for wave in fleet.waves(range(80))] == [1, 2, 4, 8, 16, 32, 17]
    assert [list(wave) for wave in fleet.waves("abcd")] == [["a"], ["b", "c"], ["d"]]
    assert list(fleet.waves([])) == []


@pytest.mark.parametrize(
    ("names", "members"), [('["a", "b"]', "ab"), ('"a"', "a"), ('["shop", "a", "c"]', "bac")]
)
def test_boards_are_named_as_a_deployment_names_them(
    fakes: Boards, names: str, members: str
) -> None:
    with (fakes.folder / "devices.toml").open("a") as file:
        file.write('[groups]\nshop = ["b", "a"]\n')
    mine = load(fakes.folder, TEXT.format(names))
    assert "".join(device.name for device in mine.boards) == members
    assert load(fakes.folder, '[grid]\nprecision = "int8"\n').boards == ()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ('["a", "bb"]', "boards: devices.toml knows no device 'bb'"),
        ("[]", "boards is []: it must be names in devices.toml"),
        ("[1]", "boards is [1]"),
        ('""', 'boards is ""'),
        ("true", "boards is true"),
    ],
)
def test_boards_that_cannot_be_meant_are_refused_before_any_look(
    fakes: Boards, names: str, words: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(f"mine.toml: {words}")):
        load(fakes.folder, TEXT.format(names))
    assert fakes.looks == []


def test_boards_without_a_list_of_them_or_in_another_table_are_refused(fakes: Boards) -> None:
    with pytest.raises(UsageError, match=r"grid\.boards stands too low"):
        load(fakes.folder, '[grid]\nboards = ["a"]\n')
    (fakes.folder / "devices.toml").unlink()
    with pytest.raises(UsageError, match=r"boards: There is no .*devices.toml") as caught:
        load(fakes.folder, TEXT.format('["a"]'))
    assert "devices.example.toml" in caught.value.remedy
    assert load(fakes.folder, '[grid]\nprecision = "int8"\n').points


def test_a_board_of_another_target_is_refused_before_any_look(fakes: Boards) -> None:
    with (fakes.folder / "devices.toml").open("a") as file:
        file.write(DEVICE.format("phone", "SM8650"))
    with pytest.raises(MismatchError, match=f"^{FILE}: boards: phone, one of the boards") as caught:
        trials.crew(Console(), load(fakes.folder, TEXT.format('["a", "phone"]')))
    assert "target iq9075" in caught.value.what and "SM8650 by devices.toml" in caught.value.what
    assert fakes.looks == []


def test_a_board_that_says_it_is_another_is_refused_before_any_build(fakes: Boards) -> None:
    fakes.facts["b"] = replace(BOARD, socs=("QCS6490",))
    with pytest.raises(
        MismatchError, match=rf"(?s)^{FILE}: boards: b, one .*the board has QCS6490"
    ):
        trials.crew(Console(), load(fakes.folder, TEXT.format('["a", "b"]')))


def test_a_host_key_that_is_not_pinned_is_refused_before_any_build(fakes: Boards) -> None:
    fakes.facts["b"] = HostKeyError("The host key of b is not known yet.")
    with pytest.raises(HostKeyError, match=f"^{FILE}: boards: The host key of b"):
        trials.crew(Console(), load(fakes.folder, TEXT.format('["a", "b"]')))


def test_a_key_that_is_not_there_is_refused_with_both_places_that_it_stands_in(
    fakes: Boards,
) -> None:
    with (fakes.folder / "devices.toml").open("a") as file:
        file.write(DEVICE.format("e", "") + 'key = "/not/there"\n')
    words = rf"^{FILE}: boards: devices.toml: \[devices\.e\]: key is /not/there"
    with pytest.raises(UsageError, match=words):
        trials.crew(Console(), load(fakes.folder, TEXT.format('["a", "e"]')))
    assert fakes.looks == []


def test_a_board_that_does_not_answer_does_not_keep_points_from_their_builds(
    fakes: Boards, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.facts["b"] = absent("b")
    crew = trials.crew(Console(), load(fakes.folder, TEXT.format('["a", "b"]')))
    assert [member.device.name for member in crew] == ["a", "b"]
    assert capsys.readouterr().out.count("b cannot be reached") == 1


def test_each_point_is_tried_on_each_board_and_has_its_times(
    fakes: Boards, ran_here: list[Job], run: Run
) -> None:
    rows = run()
    assert [point for _, point in fakes.tries] == 4 * ["int8"] + 4 * ["fp16"]
    assert fakes.tries[0] == ("a", "int8") and {*fakes.tries[1:3]} == {("b", "int8"), ("c", "int8")}
    for row in rows:
        assert (row["state"], row["measured_milliseconds"]) == ("built", 0.52)
        assert states(row) == dict.fromkeys(NAMES, "passed")
        assert (row["milliseconds"], row["boards"][0]["cosine"]) == (0.1, 0.9999)
    # Each point's page is written again, and the log of its build stays.
    assert [job.point for job in ran_here] == [row["point"] for row in rows]
    assert {job.log.name for job in ran_here} == {"boards.log"}


def test_a_canary_that_fails_ends_its_point_and_no_other(
    fakes: Boards, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.fails["a", "int8"] = GateError("a gets it wrong.", remedy="see <there>")
    first, second = run(error="1 point of 2 not built, or failed on boards, the first: int8")
    assert fakes.tries[:2] == [("a", "int8"), ("a", "fp16")]
    assert states(first) == {"a": "failed", "b": "not tried", "c": "not tried", "d": "not tried"}
    assert (first["state"], first["error"]["what"]) == ("failed on boards", "a gets it wrong.")
    assert (second["state"], states(second)) == ("built", dict.fromkeys(NAMES, "passed"))
    assert "a failed, b not tried, c not tried, d not tried: a gets it wrong." in (
        capsys.readouterr().out
    )
    page = (tmp_path / "build/sweeps/mine/sweep.html").read_text()
    assert "1 built, 1 failed on boards" in page
    assert "see &lt;there&gt;" in page and "b not tried" in page and "a 0.52 ms" in page


def test_each_reason_of_each_board_and_what_mends_it_reach_table_and_page(
    fakes: Boards, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs = {"needs": {"glibc": "2.35", "libraries": ["libcdsprpc.so"]}}
    manifest = replace(MANIFEST, facts={**MANIFEST.facts, **needs})
    for name in "bc":
        facts = replace(BOARD, glibc="2.17", libraries={})
        with pytest.raises(MismatchError) as refused:
            fitness.check(Device(name, "h", "u", "/p"), facts, manifest, 1)
        fakes.fails[name, "int8"] = refused.value
    first, _ = run(error="failed on boards")
    error = first["error"]
    assert error["what"].count("the package needs") == 2
    fixes = ("install a newer system image", "install FastRPC")
    assert all(fix in error["remedy"] for fix in fixes)
    page = (tmp_path / "build/sweeps/mine/sweep.html").read_text().partition("<script")[0]
    assert "does not fit b" in page and "does not fit c" in page
    assert all(page.count(fix) == 2 for fix in fixes)
    said, _, shown = capsys.readouterr().out.partition("\nsweep mine")
    assert all(fix in said for fix in fixes) and "What to do" not in shown


@pytest.mark.parametrize("verbose", [False, True])
def test_verbose_reaches_trials_and_the_commands_of_points(
    fakes: Boards,
    ran_here: list[Job],
    run: Run,
    capsys: pytest.CaptureFixture[str],
    verbose: bool,
) -> None:
    fakes.fails["a", "int8"] = GateError("a gets it wrong.")
    run(error="failed on boards", verbose=verbose)
    output, errors = capsys.readouterr()
    assert ("b: check.sh releases/new" in output) == verbose
    assert errors.count("GateError: a gets it wrong.") == verbose
    assert {job.words[-1] == "--verbose" for job in ran_here} == {verbose}


def test_a_later_wave_that_fails_is_the_last_one(fakes: Boards, run: Run) -> None:
    fakes.fails["c", "int8"] = DeviceError("c says no.")
    first, _ = run(error="failed on boards")
    assert states(first) == {"a": "passed", "b": "passed", "c": "failed", "d": "not tried"}
    assert first["measured_milliseconds"] == 0.52


def test_what_failed_on_a_board_is_not_the_best_of_anything(fakes: Boards, run: Run) -> None:
    fakes.fails["a", "int8"] = GateError("a gets it wrong.")
    run(error="failed on boards")
    document = json.loads((fakes.folder / "build/sweeps/mine/sweep.json").read_text())
    ((name,),) = (network["frontier"] for network in document["networks"])
    assert "fp16" in name


def test_a_fault_of_ours_on_one_board_is_a_row_too(fakes: Boards, run: Run) -> None:
    fakes.fails["a", "int8"] = ValueError("oh")
    first, second = run(error="failed on boards")
    assert first["error"]["what"] == "unexpected ValueError: oh"
    assert second["state"] == "built"


def test_what_was_measured_of_an_archive_is_not_measured_again(
    fakes: Boards, ran_here: list[Job], run: Run
) -> None:
    fakes.fails["c", "int8"] = GateError("c gets it wrong.")
    run(error="failed on boards")
    fakes.fails.clear()
    ran_here.clear()
    first, second = run()
    assert fakes.tries == [("c", "int8"), ("d", "int8")]
    assert [job.point for job in ran_here] == [first["point"]]
    assert states(first) == states(second) == dict.fromkeys(NAMES, "passed")
    run()
    assert (fakes.tries, fakes.looks) == ([], [])
    # Another archive is another thing, and so are other clocks.
    run(seed="other")
    assert len(fakes.tries) == 8
    file = fakes.folder / "devices.toml"
    file.write_text(file.read_text().replace("[devices.b]", '[devices.b]\nperf = "burst"'))
    run(seed="other")
    assert fakes.tries == [("b", "int8"), ("b", "fp16")]


def test_a_board_that_is_away_is_said_once_and_the_others_go_on(
    fakes: Boards, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.facts["a"] = absent("a")
    rows = run(error="a not reached: not every point was tried on every board")
    assert [states(row)["a"] for row in rows] == ["not reached", "not reached"]
    assert {row["state"] for row in rows} == {"built"}
    (error,) = (verdict["error"] for verdict in rows[1]["boards"] if verdict["board"] == "a")
    assert "a cannot be reached" in error["what"] and "cable" in error["remedy"]
    assert fakes.tries[0] == ("b", "int8") and len(fakes.tries) == 6
    # Once before the builds, once after them.
    assert capsys.readouterr().out.count("a cannot be reached") == 2
    fakes.facts.clear()
    run()
    assert fakes.tries == [("a", "int8"), ("a", "fp16")]


def test_a_board_that_goes_away_in_a_trial_ends_that_point_and_is_left_out(
    fakes: Boards, run: Run
) -> None:
    fakes.fails["b", "int8"] = absent("b")
    first, second = run(error="b not reached")
    assert states(first) == {"a": "passed", "b": "not reached", "c": "passed", "d": "not tried"}
    assert states(second) == {"a": "passed", "b": "not reached", "c": "passed", "d": "passed"}


def test_where_no_board_answers_none_is_asked_again_for_each_point(fakes: Boards, run: Run) -> None:
    fakes.facts |= {name: absent(name) for name in NAMES}
    run(error="a, b, c, d not reached")
    assert (fakes.tries, sorted(fakes.looks)) == ([], [*NAMES])


def test_an_archive_that_is_on_another_machine_alone_is_a_row(
    fakes: Boards, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "of_file", lambda path: 64 * "0")
    monkeypatch.setattr(trials, "_is_whole", lambda path, sha256: "int8" not in str(path))
    first, second = run(error="failed on boards")
    assert "is not here as it was built" in first["error"]["what"]
    assert "--cache-write" in first["error"]["remedy"]
    assert (fakes.tries[0], second["state"]) == (("a", "fp16"), "built")
    monkeypatch.setattr(trials, "_is_whole", lambda path, sha256: False)
    run(error="2 points of 2")
    assert (fakes.tries, fakes.looks) == ([], [])


def test_an_archive_that_is_in_the_shared_cache_is_brought_before_its_trial(
    fakes: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('boards = "a"\n[grid]\nprecision = "int8"\n')
    shared: dict[str, Text] = {"cache": "http://cache.test/", "cache_write": True}
    shared["build_dir"] = str(tmp_path / "build")
    mine = grid.load(file, shared, tmp_path / "devices.toml")
    (point,) = mine.points
    outcome = packed(mine, point.name, "")
    there = point.request.archive.replace(tmp_path / "elsewhere")
    brought: list[str] = []

    def run(job: Job, before: Outcome | None, lifeline: int) -> Outcome:
        brought.append(job.point)
        shutil.copy(there, point.request.archive)
        return outcome

    monkeypatch.setattr(machine, "run", run)
    crew = trials.crew(Console(), mine)
    sweep.run(
        Console(), mine, lambda work: iter([(work[-1], outcome)]), crew, tmp_path / "devices.toml"
    )
    assert fakes.tries == [("a", "int8")]
    assert brought == 2 * [point.name]  # and once more, for its page


def test_a_board_that_asks_for_a_signature_tries_nothing_without_one(
    fakes: Boards, run: Run
) -> None:
    (fakes.folder / "people").write_text(f"me ssh-ed25519 {'A' * 68}\n")
    file = fakes.folder / "devices.toml"
    file.write_text(file.read_text().replace("[devices.d]", '[devices.d]\nsigners = "people"'))
    first, _ = run(error="2 points of 2")
    assert fakes.tries == [] and "sig" in first["error"]["what"]
