from pathlib import Path

import pytest
from docker.errors import DockerException

from scripts.errors import EngineError
from scripts.pipeline import engine


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
