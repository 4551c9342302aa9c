import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from docker.errors import DockerException

from scripts.errors import DiskFullError, EngineError
from scripts.pipeline import engine, tunnel


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise DockerException("connection refused")

    monkeypatch.setattr(engine, "_client", refuse)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "_install", lambda: pytest.fail("installed an engine"))
    monkeypatch.setattr(engine, "_start", lambda: pytest.fail("started an engine"))


@pytest.mark.usefixtures("no_engine")
def test_a_silent_docker_host_is_never_replaced_by_a_local_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(EngineError, match=r"DOCKER_HOST=tcp://127\.0\.0\.1:1"):
        engine.connect()


@pytest.mark.usefixtures("no_engine")
def test_a_plain_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(engine, "SOCKET", Path("/nonexistent/docker.sock"))
    with pytest.raises(EngineError) as caught:
        engine.connect()
    assert "apt-get install docker.io" in str(caught.value)


@pytest.mark.usefixtures("no_engine")
def test_doctor_never_starts_one() -> None:
    with pytest.raises(EngineError, match="No container engine answers"):
        engine.connect(start=False)


@pytest.mark.parametrize(
    "host",
    ["garbage", "tcp://", "http://x:y", "tcp://127.0.0.1:99999", "fd://", "npipe://", "x://"],
)
@pytest.mark.parametrize("start", [True, False])
def test_an_address_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, host: str, start: bool
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineError, match=f"DOCKER_HOST={host} is no address") as refusal:
        engine.connect(start=start)
    assert "ssh://USER@HOST" in refusal.value.remedy


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("unix:///nowhere/docker.sock", "there is no such socket"),
        ("tcp://127.0.0.1:1", "nobody listens there"),
        ("tcp://nowhere.invalid:2375", "the name of its machine is not known"),
    ],
)
@pytest.mark.parametrize("start", [True, False])
def test_a_silent_engine_is_named_with_the_reason_in_words(
    monkeypatch: pytest.MonkeyPatch, host: str, says: str, start: bool
) -> None:
    """The real client, against what does not answer; doctor (`start` False) says the same."""
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineError) as refusal:
        engine.connect(start=start)
    assert refusal.value.what == f"The engine at DOCKER_HOST={host} does not answer: {says}."
    assert "unset DOCKER_HOST" in refusal.value.remedy


@pytest.mark.parametrize(("content", "stays"), [("999999999", False), ("1", False), ("x", True)])
def test_only_the_pid_file_of_a_dead_daemon_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, stays: bool
) -> None:
    monkeypatch.setattr(engine, "PID_FILE", tmp_path / "docker.pid")
    engine.PID_FILE.write_text(content)
    engine._drop_stale_pid_file()
    assert engine.PID_FILE.exists() is stays


def test_the_pid_file_of_a_living_daemon_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PID_FILE", tmp_path / "docker.pid")
    monkeypatch.setattr(engine, "_is_dockerd", lambda pid: pid == 42)
    engine.PID_FILE.write_text("42")
    engine._drop_stale_pid_file()
    assert engine.PID_FILE.exists()


INFO = {
    "MemTotal": 8,
    "Architecture": "x86_64",
    "SecurityOptions": ["name=seccomp,profile=default"],
}
VERSION = {"Version": "28.0", "Components": [{"Name": "Engine"}]}
PODMAN = {"Version": "4.3", "Components": [{"Name": "Podman Engine"}]}


@pytest.fixture
def _local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv(engine.MOUNTS_VARIABLE, raising=False)


@pytest.mark.usefixtures("_local")
@pytest.mark.parametrize(
    ("info", "version", "says"),
    [
        ({}, VERSION, "Docker 28.0"),
        ({"SecurityOptions": None}, VERSION, "Docker 28.0"),
        ({"SecurityOptions": ["name=rootless"]}, VERSION, "Docker 28.0; rootless"),
        ({"Rootless": True}, PODMAN, "Podman 4.3; rootless"),
        ({"SecurityOptions": ["name=userns"]}, VERSION, "users are remapped"),
        ({"SecurityOptions": ["name=selinux"]}, VERSION, "SELinux"),
        ({"MemoryLimit": False}, VERSION, "no memory limits"),
    ],
)
def test_an_engine_is_known_by_what_it_says(
    info: dict[str, Any], version: dict[str, Any], says: str
) -> None:
    assert says in engine.describe(engine.read_traits({**INFO, **info}, version))


@pytest.mark.usefixtures("_local")
def test_an_engine_of_another_architecture_is_refused() -> None:
    with pytest.raises(EngineError, match="runs on aarch64"):
        engine.read_traits({**INFO, "Architecture": "aarch64"}, VERSION)


@pytest.mark.parametrize(
    ("host", "mounts", "local"),
    [
        ("", "", True),
        ("unix:///run/user/1000/podman/podman.sock", "", True),
        ("ssh://machine.test", "", False),
        ("tcp://127.0.0.1:2375", "", False),
        ("tcp://127.0.0.1:2375", "bind", True),
        ("", "copy", False),
    ],
)
def test_only_an_engine_behind_a_socket_of_this_machine_sees_its_files(
    monkeypatch: pytest.MonkeyPatch, host: str, mounts: str, local: bool
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setenv(engine.MOUNTS_VARIABLE, mounts)
    assert engine.is_local() is local
    if not local:
        with pytest.raises(EngineError, match="elsewhere does not take a seccomp profile"):
            engine.read_traits(INFO, PODMAN)


@pytest.mark.parametrize(
    ("address", "ends"),
    [
        ("ssh://machine.test", ["-L", "s:/var/run/docker.sock", "--", "machine.test"]),
        (
            "ssh://me@machine.test:2222/run/podman.sock",
            ["-L", "s:/run/podman.sock", "-p", "2222", "-l", "me", "--", "machine.test"],
        ),
    ],
)
def test_an_engine_behind_ssh_is_reached_by_the_users_own_ssh(
    address: str, ends: list[str]
) -> None:
    command = tunnel.command(address, Path("s"))
    assert command[0] == "ssh"
    assert command[command.index("-L") : -1] == ends


def test_a_machine_that_ssh_cannot_reach_is_named_with_its_reason() -> None:
    with pytest.raises(EngineError, match="ssh HOST docker version"):
        tunnel.socket("ssh://127.0.0.1:1")


def test_what_outlives_us_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test")
    surroundings: list[dict[str, str]] = []
    monkeypatch.setattr(engine, "LOG", Path("/dev/null"))
    monkeypatch.setattr(engine, "_drop_stale_pid_file", lambda: None)
    answers = iter([False, True])
    monkeypatch.setattr(engine, "_answers", lambda within: next(answers))
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, env, **options: surroundings.append(env)
    )
    monkeypatch.setattr(subprocess, "run", lambda command, env, **options: surroundings.append(env))
    engine._start()
    assert surroundings
    for environment in surroundings:
        assert environment["HTTPS_PROXY"] == "http://proxy.test"
        assert "HF_TOKEN" not in environment


def fake_apt(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "apt-get").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "apt-get").chmod(0o755)


def test_a_held_lock_of_apt_is_waited_for_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_apt(tmp_path / "bin", f'echo "$@" >>{tmp_path}/calls; env >>{tmp_path}/env')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    engine._install()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 2
    assert all("DPkg::Lock::Timeout=600" in call for call in calls)
    assert "waits for it" in capsys.readouterr().out
    assert "hf_secret" not in (tmp_path / "env").read_text()


def test_a_disk_that_apt_fills_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt(
        tmp_path / "bin", 'echo "E: You don\'t have enough: No space left on device"; exit 100'
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(DiskFullError, match="filled the disk"):
        engine._install()
