"""What the bootstrap says where it cannot work: one sentence, before it does a thing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.source import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The bootstrap alone: nothing to install from, so it can do no harm."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "scripts/bootstrap.sh", tmp_path / "scripts")
    return tmp_path


def fake(checkout: Path, name: str, text: str) -> None:
    """Put a program of this name before the machine's own."""
    program = checkout / "bin" / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def bootstrap(checkout: Path) -> str:
    """Return the sentence that it refuses with."""
    surroundings = os.environ | {"PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"}
    command = ["sh", str(checkout / "scripts/bootstrap.sh")]
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (checkout / ".venv").exists()
    return done.stderr


@pytest.mark.parametrize(
    ("system", "machine", "says"),
    [
        ("Linux", "aarch64", "aarch64 cannot run"),
        ("Darwin", "arm64", "macOS is not supported"),
        ("MINGW64_NT-10.0", "x86_64", "WSL 2"),
    ],
)
def test_another_kind_of_machine(checkout: Path, system: str, machine: str, says: str) -> None:
    fake(checkout, "uname", f'[ "$1" = -s ] && echo {system} || echo {machine}')
    assert says in bootstrap(checkout)


def test_an_old_python_is_named_with_the_package_that_helps(checkout: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        fake(checkout, name, '[ "$1" = --version ] && echo Python 3.10.12')
    sentence = bootstrap(checkout)
    assert "Python 3.10.12" in sentence
    assert "apt-get install python3.11 python3.11-venv" in sentence


def test_windows_line_ends(checkout: Path) -> None:
    script = checkout / "scripts/bootstrap.sh"
    script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
    assert "core.autocrlf=false" in bootstrap(checkout)


def test_a_clone_on_windows_keeps_the_line_ends(tmp_path: Path) -> None:
    """Git's usual setting there would turn them; a script with `\\r` does not run in the image."""
    attributes = ["git", "-C", str(ROOT), "check-attr", "eol", "--"]
    names = ["scripts/bootstrap.sh", "docker/Dockerfile", "docker/seccomp.json", "tasks.py"]
    done = subprocess.run([*attributes, *names], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name}: eol: lf" for name in names]
