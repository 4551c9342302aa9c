"""Stages side by side, with programs that are functions here: no engine is asked."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import docker
from scripts import console, errors
from scripts.console import Console, Section
from scripts.errors import DiskFullError, GateError, OutOfMemoryError, StageError
from scripts.image.image import Image
from scripts.pipeline import container, forecast, request, steps
from scripts.pipeline.build import Builder
from scripts.pipeline.container import Leash, Outcome, Program, Screen
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store

IMAGE = Image("id", "tag", "bookworm", f"sha256:{1:064x}", "inputs", 0)
SECONDS = 20
# What a program does, given its screen; it returns its exit code.
Act = Callable[[Screen], int]


def stage(name: str, *reads: str) -> Stage:
    """A stage that reads what others of these names make."""
    inputs, outputs = map(PurePosixPath, reads), (PurePosixPath(name),)
    return Stage(name, "export", (name,), tuple(inputs), outputs=outputs)


class Engine:
    """Runs acts by the names of stages, and remembers which ran, and how many at once."""

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.ran: list[str] = []
        self.most = 0
        self._running: set[str] = set()
        self.ends: dict[str, threading.Event] = {}

    def run(
        self, client: Any, image: str, program: Program, screen: Screen, leash: Leash
    ) -> Outcome:
        out = steps.out_of(program)
        name = out.name.rpartition("-")[0]
        self.ends[name] = threading.Event()
        with leash.of(name):
            self._running.add(name)
            self.ran.append(name)
            self.most = max(self.most, len(self._running))
            code = self.acts.get(name, lambda _: 0)(screen)
            self._running.discard(name)
        (out / name).write_text(name)
        return Outcome(code, code == 137, f"tail of {name}")

    def remove(self, client: Any, name: str) -> None:
        self.ends[name].set()

    def meet(self, *names: str) -> None:
        """Let programs go on once all of them run."""
        barrier = threading.Barrier(len(names))

        def act(_: Screen) -> int:
            barrier.wait(SECONDS)
            return 0

        self.acts |= dict.fromkeys(names, act)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    fake = Engine()
    monkeypatch.setattr(container, "run", fake.run)
    monkeypatch.setattr(container, "_remove", fake.remove)
    monkeypatch.setattr(container, "sweep", lambda _: None)
    monkeypatch.setattr(forecast, "available_memory", lambda: 10**12)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return fake


@pytest.fixture
def outlast(monkeypatch: pytest.MonkeyPatch) -> Act:
    """A program that ends once another one is known to have failed."""
    known, failed = threading.Event(), Section.failed

    def say(section: Section, reason: str) -> None:
        failed(section, reason)
        known.set()

    def act(screen: Screen) -> int:
        assert known.wait(SECONDS)
        screen.write(b"much\n" * 100)
        return 0

    monkeypatch.setattr(Section, "failed", say)
    return act


@pytest.fixture
def builder() -> Builder:
    return Builder(client=None, image=IMAGE, console=Console())  # type: ignore[arg-type]


@pytest.fixture
def build(builder: Builder, tmp_path: Path) -> Callable[..., list[str]]:
    """Build stages; returns the names of those that ran."""

    def run(*stages: Stage, **texts: str) -> list[str]:
        build_request = request.make(build_dir=str(tmp_path), **texts)
        return [done.stage.name for done in builder.build(build_request, stages) if done.ran]

    return run


def whole(tmp_path: Path) -> set[str]:
    return set(Store(tmp_path / "digits").manifests())


DIAMOND = (stage("a"), stage("b", "a"), stage("c", "a"), stage("d", "b", "c"))


def test_what_does_not_wait_for_each_other_runs_at_once(
    engine: Engine, build: Callable[..., list[str]]
) -> None:
    engine.meet("b", "c")
    assert build(*DIAMOND) == ["a", "b", "c", "d"]
    assert build(*DIAMOND) == []
    assert engine.most == 2


def test_one_more_runs_at_once_than_there_are_cores(
    engine: Engine, build: Callable[..., list[str]]
) -> None:
    engine.meet("a", "b", "c")
    build(*(stage(name) for name in "abcde"))
    assert engine.most == 3


def test_with_one_job_they_run_as_the_plan_has_them(
    engine: Engine, build: Callable[..., list[str]]
) -> None:
    build(*DIAMOND, jobs="1")
    assert engine.ran == ["a", "b", "c", "d"]
    assert engine.most == 1


def test_what_does_not_fit_into_memory_waits(
    engine: Engine, build: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "available_memory", lambda: 3 * 10**9)
    build(*(stage(name) for name in "abc"))
    assert engine.most == 1
    engine.meet("a2", "b2")
    build(*(stage(f"{name}2") for name in "abc"), memory="1")
    assert engine.most == 2


def test_after_a_failure_what_runs_may_end_and_nothing_starts(
    engine: Engine, build: Callable[..., list[str]], tmp_path: Path, outlast: Act
) -> None:
    engine.acts |= {"bad": lambda _: StageError.exit_code, "long": outlast}
    stages = (stage("bad"), stage("long"), stage("other"), stage("end", "bad", "long"))
    with pytest.raises(StageError, match=r"^bad ended with exit code"):
        build(*stages, jobs="2")
    assert set(engine.ran) == {"bad", "long"}
    assert whole(tmp_path) == {"long"}
    engine.acts.clear()
    assert build(*stages, jobs="2") == ["bad", "other", "end"]


def together(builder: Builder, folder: Path, *builds: Sequence[Stage]) -> list[str]:
    """Return how each of several builds ended: the class of its error, or nothing."""
    build_request: Request = request.make(build_dir=str(folder))
    results = builder.build_together([(build_request, stages) for stages in builds])
    assert [bool(built.failed) for built in results] == [bool(built.error) for built in results]
    return [type(built.error).__name__ if built.error else "" for built in results]


def test_a_build_that_misses_its_gate_does_not_stop_the_others(
    engine: Engine, builder: Builder, tmp_path: Path
) -> None:
    engine.acts["bad"] = lambda _: GateError.exit_code
    shared = stage("shared")
    first = [shared, stage("bad", "shared"), stage("unbuilt", "bad"), stage("free", "shared")]
    second = [shared, stage("good", "shared"), stage("end", "good")]
    assert together(builder, tmp_path, first, second) == ["GateError", ""]
    assert engine.ran.count("shared") == 1
    assert {"shared", "good", "end"} <= whole(tmp_path)
    assert "unbuilt" not in engine.ran


def test_what_all_builds_need_ends_all_of_them(
    engine: Engine, builder: Builder, tmp_path: Path
) -> None:
    engine.acts["shared"] = lambda _: StageError.exit_code
    builds = [[stage("shared"), stage(name, "shared")] for name in "ab"]
    assert together(builder, tmp_path, *builds) == ["StageError", "StageError"]
    assert engine.ran == ["shared"]


def test_a_full_disk_ends_all_builds(
    engine: Engine, builder: Builder, tmp_path: Path, outlast: Act
) -> None:
    engine.acts |= {"full": lambda _: DiskFullError.exit_code, "a": outlast}
    builds = [[stage("full")], [stage("a"), stage("b", "a")]]
    with pytest.raises(DiskFullError):
        together(builder, tmp_path, *builds)
    assert sorted(engine.ran) == ["a", "full"]


def test_what_ran_out_of_memory_beside_others_gets_all_of_it(
    engine: Engine, build: Callable[..., list[str]]
) -> None:
    beside = threading.Barrier(2)

    def short(_: Screen) -> int:
        if engine.ran.count("a") > 1:
            return 0
        beside.wait(SECONDS)
        return 137

    def other(_: Screen) -> int:
        beside.wait(SECONDS)
        return 0

    engine.acts |= {"a": short, "b": other}
    assert build(stage("a"), stage("b"), stage("c", "a")) == ["a", "b", "c"]
    assert engine.ran.count("a") == 2


def test_what_runs_out_of_memory_by_itself_fails(
    engine: Engine, build: Callable[..., list[str]]
) -> None:
    engine.acts["a"] = lambda _: 137
    with pytest.raises(OutOfMemoryError):
        build(stage("a"), stage("b", "a"))
    assert engine.ran == ["a"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_that_run(
    engine: Engine, build: Callable[..., list[str]], tmp_path: Path, number: int
) -> None:
    ready = threading.Barrier(3)

    def sleep(name: str) -> Act:
        def act(_: Screen) -> int:
            ready.wait(SECONDS)
            assert engine.ends[name].wait(SECONDS)
            return 137

        return act

    def interrupt() -> None:
        ready.wait(SECONDS)
        os.kill(os.getpid(), number)

    engine.acts |= {"a": sleep("a"), "b": sleep("b")}
    before = threading.active_count()
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        build(stage("a"), stage("b"), stage("c", "a"))
    interrupting.join()
    assert threading.active_count() == before
    assert sorted(engine.ran) == ["a", "b"]
    assert whole(tmp_path) == set()


def test_an_engine_that_is_gone_ends_all_that_run(
    engine: Engine, build: Callable[..., list[str]]
) -> None:
    together = threading.Barrier(2)

    def lose(_: Screen) -> int:
        together.wait(SECONDS)
        raise docker.errors.DockerException("gone")

    def sleep(_: Screen) -> int:
        together.wait(SECONDS)
        assert engine.ends["b"].wait(SECONDS)
        return 137

    engine.acts |= {"a": lose, "b": sleep}
    with pytest.raises(docker.errors.DockerException, match="gone"):
        build(stage("a"), stage("b"), stage("c", "b"))
    assert sorted(engine.ran) == ["a", "b"]


def test_no_program_starts_once_the_leash_is_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[str] = []
    monkeypatch.setattr(container, "_remove", lambda _, name: removed.append(name))
    leash = Leash(None)  # type: ignore[arg-type]
    with leash.of("ended"):
        pass
    with leash.of("a"), leash.of("b"):
        leash.pull()
    assert sorted(removed) == ["a", "b"]
    with pytest.raises(KeyboardInterrupt), leash.of("c"):
        raise AssertionError("it starts")


def test_what_stages_print_stays_together(
    engine: Engine, build: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    turns = threading.Barrier(2)

    def speak(name: str) -> Act:
        def act(screen: Screen) -> int:
            for _ in range(5):
                turns.wait(SECONDS)
                screen.write(f"of {name}\n".encode())
            return 0

        return act

    engine.acts |= {"a": speak("a"), "b": speak("b")}
    build(stage("a"), stage("b"))
    lines = [line[-4:] for line in capsys.readouterr().out.splitlines() if line.startswith("of ")]
    assert lines in (5 * ["of a"] + 5 * ["of b"], 5 * ["of b"] + 5 * ["of a"])


def test_the_output_of_an_error_is_that_of_the_stage_that_failed(
    engine: Engine, tmp_path: Path, outlast: Act
) -> None:
    engine.acts |= {"a": outlast, "b": lambda _: StageError.exit_code}
    with pytest.raises(StageError), console.opened(quiet=True) as opened:
        builder = Builder(client=None, image=IMAGE, console=opened)  # type: ignore[arg-type]
        builder.build(request.make(build_dir=str(tmp_path)), [stage("a"), stage("b")])
    assert opened.document["error"]["output"] == ["tail of b"]
    assert opened.document["error"]["exit_code"] == errors.StageError.exit_code
