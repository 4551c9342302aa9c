"""Where mmdebstrap runs; it is never really started, and nothing is installed."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from scripts.errors import ImageBuildError
from scripts.image import lanes, mmdebstrap
from scripts.image.buildlog import BuildLog
from tests import namespaces

LANE = lanes.load("bookworm")


class Log(BuildLog):
    """Keeps the commands in place of running them."""

    def __init__(self, path: Path, code: int = 0) -> None:
        super().__init__(path)
        self.commands: list[list[str]] = []
        self.code = code

    def run(self, command: object, environment: object = None) -> int:
        assert isinstance(command, list)
        self.commands.append(command)
        return self.code


class NoRegistry:
    """An engine with no image, and no registry to pull one from."""

    def __init__(self) -> None:
        self.images = self.containers = self

    def list(self, name: str) -> list[str]:
        return []

    def pull(self, name: str) -> None:
        raise APIError("no such host")

    def create(self, *arguments: object, **options: object) -> None:
        pytest.fail("made a container without an image")


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "image.log")


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The programs that this machine seems to have."""
    names: set[str] = set()
    monkeypatch.setattr("shutil.which", lambda name: name if name in names else None)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    return names


def run(log: Log, tmp_path: Path) -> int:
    client = NoRegistry()
    return mmdebstrap.run(client, LANE, lambda folder: ["mm", str(folder)], tmp_path, log)  # type: ignore[arg-type]


def test_it_runs_here_where_it_is_installed(log: Log, tmp_path: Path, tools: set[str]) -> None:
    tools.add("mmdebstrap")
    assert run(log, tmp_path) == 0
    assert log.commands == [["mm", str(tmp_path)]]


def test_root_on_debian_installs_it_and_is_told(
    log: Log,
    tmp_path: Path,
    tools: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tools.add("apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    run(log, tmp_path)
    assert log.commands[1][-2:] == ["mmdebstrap", "debian-archive-keyring"]
    assert log.commands[2] == ["mm", str(tmp_path)]
    assert "installing mmdebstrap" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_what_it_mounted_goes_with_it_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespaces.require("--mount")
    monkeypatch.setattr(mmdebstrap, "_is_here", lambda *_: True)
    (place := tmp_path / "proc").mkdir()
    script = f"mount -t tmpfs none {place} && : >{place}/mounted && : >{tmp_path}/done; kill -9 $$"
    log = BuildLog(tmp_path / "log")
    try:
        client: Any = NoRegistry()
        code = mmdebstrap.run(client, LANE, lambda _: ["sh", "-c", script], tmp_path, log)
        assert code == -signal.SIGKILL
        assert (tmp_path / "done").exists(), log.tail()
        assert str(place) not in Path("/proc/self/mounts").read_text()
    finally:
        subprocess.run(["umount", str(place)], capture_output=True, check=False)


@pytest.mark.parametrize(("tool", "user"), [("apt-get", 1000), ("dnf", 0)])
def test_elsewhere_it_needs_a_container_and_says_what_else_would_do(
    log: Log, tmp_path: Path, tools: set[str], monkeypatch: pytest.MonkeyPatch, tool: str, user: int
) -> None:
    tools.add(tool)
    monkeypatch.setattr("os.geteuid", lambda: user)
    with pytest.raises(ImageBuildError, match="neither here nor in a container") as caught:
        run(log, tmp_path)
    assert "apt-get install mmdebstrap" in str(caught.value)
    assert log.commands == []
