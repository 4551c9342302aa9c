"""Jobs as processes of this machine: order, memory, failures, and what is left of none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.source import ROOT
from scripts.sweep import jobs, local, machine
from scripts.sweep.attached import lifeline
from scripts.sweep.jobs import Job
from scripts.sweep.machine import Outcome
from tests.unit.sweep.files import built, failed


def job(folder: Path, key: str, after: str = "", memory: int = 1) -> Job:
    point = folder / "build/sweeps/mine" / key
    return Job(key, ("inspect", "nothing"), point, memory, jobs.code(), after, point=key)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[set[str]]]:
    """Stands in for what a job does; the jobs that ran beside each, itself among them."""
    beside: list[set[str]] = []
    running: set[str] = set()
    lock = threading.Lock()

    def run(job: Job, before: Outcome | None, lifeline: int) -> Outcome:
        if before and before.error:
            return before
        with lock:
            running.add(job.key)
            beside.append(set(running))
        time.sleep(0.02)
        with lock:
            running.discard(job.key)
        return failed(12, "broken") if job.key.startswith("bad") else built(1, 1)

    monkeypatch.setattr(machine, "run", run)
    yield beside


def ended(*work: Job, at_once: int = 2, memory: int = 10) -> dict[str, bool]:
    return {job.key: not outcome.error for job, outcome in local.run(work, at_once, memory)}


def test_a_job_waits_for_the_one_before_it(tmp_path: Path, ran: list[set[str]]) -> None:
    work = [job(tmp_path, "a"), job(tmp_path, "b", "a"), job(tmp_path, "c", "a")]
    assert ended(*work, at_once=3) == {"a": True, "b": True, "c": True}
    assert ran[0] == {"a"} and {"b", "c"} in ran


def test_a_failure_ends_what_waits_for_it_and_nothing_else(
    tmp_path: Path, ran: list[set[str]]
) -> None:
    work = [job(tmp_path, "bad"), job(tmp_path, "b", "bad"), job(tmp_path, "c", "b")]
    work.append(job(tmp_path, "d"))
    assert ended(*work) == {"bad": False, "b": False, "c": False, "d": True}
    assert set().union(*ran) == {"bad", "d"}


def test_no_more_run_than_are_let_and_memory_holds(tmp_path: Path, ran: list[set[str]]) -> None:
    work = [job(tmp_path, str(number), memory=4) for number in range(6)]
    assert len(ended(*work, at_once=4)) == 6
    assert max(map(len, ran)) == 2
    # What fits nowhere runs alone.
    ran.clear()
    assert len(ended(*[replace(job, memory=99) for job in work[:3]])) == 3
    assert max(map(len, ran)) == 1


def run(job: Job, before: Outcome | None = None) -> Outcome:
    with lifeline() as stdin:
        return machine.run(job, before, stdin)


def test_a_command_that_refuses_is_an_outcome(tmp_path: Path) -> None:
    outcome = run(job(tmp_path, "a"))
    assert outcome.error and outcome.error["class"] == "UsageError"
    assert (tmp_path / "build/sweeps/mine/a/inspect.log").is_file()
    # Its results would be kept with those of all builds.
    store = tmp_path / "build/sweeps/mine/a/.store"
    assert store.resolve() == tmp_path / "build/.store" and store.is_dir()


def test_a_command_that_ends_without_a_word_is_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    error = run(job(tmp_path, "a")).error
    assert error and "ended with 1 before it could say why" in error["what"]
    assert "inspect.log" in error["remedy"]


def test_what_a_table_shows_of_a_command_is_in_its_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = built(0.1, 0.99)
    command = tmp_path / "python"
    command.write_text(f"#!/bin/sh\necho '{json.dumps(expected.document)}'\n")
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(command))
    assert run(job(tmp_path, "a")).document == expected.document


def test_a_folder_that_cannot_be_made_is_an_outcome(tmp_path: Path) -> None:
    (tmp_path / "build").write_text("")
    error = run(job(tmp_path, "a")).error
    assert error and error["class"] == "AccessError"


def test_a_machine_with_other_stages_builds_nothing(tmp_path: Path) -> None:
    error = run(replace(job(tmp_path, "a"), code="other")).error
    assert error and "has other stages than where the sweep was started" in error["what"]
    assert not (tmp_path / "build").exists()


HOLDER = """
import subprocess, sys
from scripts.sweep.attached import lifeline
with lifeline() as stdin:
    command = [sys.executable, "-c", sys.argv[1]]
    child = subprocess.Popen(command, stdin=stdin)
    print(child.pid, flush=True)
    child.wait()
"""
CHILD = """
import sys, time
from scripts.sweep import attached
attached.program.run = lambda words: time.sleep(60)
sys.argv = ["attached"]
attached.main()
"""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "Z"


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def test_a_command_does_not_outlive_who_started_it() -> None:
    """Killed without a word, as the kernel does it."""
    command = [sys.executable, "-c", HOLDER, CHILD]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        pid = int(holder.stdout.readline())
        assert not within(0.2, lambda: gone(pid))
        holder.kill()
    assert within(20, lambda: gone(pid))


def test_a_command_runs_to_its_end_otherwise() -> None:
    with lifeline() as stdin:
        command = [sys.executable, "-m", "scripts.sweep.attached", "--version"]
        done = subprocess.run(command, cwd=ROOT, stdin=stdin, capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith(b"Invoke")
