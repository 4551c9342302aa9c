"""What the tests install for their boards starts nothing on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.device import system


def fake(folder: Path, name: str, text: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_what_is_installed_for_the_boards_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    policy = tmp_path / "policy-rc.d"
    fake(tmp_path / "bin", "apt-get", f'{policy} ssh start; echo "$? $@" >>{tmp_path}/log')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(system, "POLICY", policy)
    monkeypatch.setattr(system, "NEEDED", {"/nowhere/mmdebstrap": "mmdebstrap"})
    monkeypatch.setattr("os.geteuid", lambda: 0)
    system.ready()
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["101", "101"]
    assert not policy.exists()


def test_a_server_is_never_installed() -> None:
    assert not [package for package in system.NEEDED.values() if "server" in package]


def test_a_policy_of_the_machine_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("theirs")
    monkeypatch.setattr(system, "POLICY", policy)
    with system.nothing_starts():
        assert policy.read_text() == "theirs"
    assert policy.read_text() == "theirs"
