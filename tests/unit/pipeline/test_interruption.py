"""A command that is ended from outside says so, and leaves neither files nor programs behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scripts.console import Console
from scripts.errors import INTERRUPTED
from scripts.pipeline import interruption, rebuild, suites
from scripts.pipeline.suites import Suite
from scripts.source import ROOT
from tests.unit.pipeline.test_command import INVOKE

TASKS = """
import time
from scripts.package import scratch
from scripts.pipeline.command import OUTPUT, command

@command(output=OUTPUT)
def wait(console):
    "Wait."
    with scratch.folder() as folder:
        print(folder, flush=True)
        time.sleep(60)
"""
# A program that says that it runs, and leaves a file where it is asked to end.
PROGRAM = """
import pathlib, signal, sys, time
name = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(pathlib.Path(name + ".ended").touch()))
pathlib.Path(name + ".runs").touch()
print("runs", flush=True)
time.sleep(20)
"""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_GRACE", 0.01)


def test_a_command_that_is_terminated_ends_as_by_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    process = subprocess.Popen(
        [INVOKE, "wait", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    folder = Path(process.stderr.readline().strip())
    assert folder.is_dir()
    process.terminate()
    printed, said = process.communicate(timeout=60)
    assert process.returncode == json.loads(printed)["error"]["exit_code"] == INTERRUPTED
    assert "interrupted" in said and "Traceback" not in said
    assert not folder.exists()


def test_under_nohup_a_lost_terminal_is_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruption.as_ctrl_c():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_rebuild_ends_the_commits_own_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rebuild, "print", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        rebuild._stream([sys.executable, "-c", PROGRAM, "it"], tmp_path)
    assert (tmp_path / "it.ended").exists()


def test_suites_side_by_side_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [str(tmp_path / name) for name in "ab"]
    command = [sys.executable, "-c", PROGRAM]
    monkeypatch.setattr(suites, "_command", lambda suite: [*command, suite.name])

    def interrupt(main: int) -> None:
        while not all(Path(f"{name}.runs").exists() for name in names):
            time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGTERM)

    thread = threading.Thread(target=interrupt, args=[threading.get_ident()])
    with pytest.raises(KeyboardInterrupt), interruption.as_ctrl_c():
        thread.start()
        suites._side_by_side(Console(), [Suite(name, ()) for name in names])
    assert all(Path(f"{name}.ended").exists() for name in names)
