"""The container engine: find the running one, or on Debian as root install and start one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from docker.errors import DockerException

import docker
from scripts.errors import EngineError

SOCKET = Path("/var/run/docker.sock")
PID_FILE = Path("/var/run/docker.pid")
LOG = Path("/var/log/dinov3-qnn-dockerd.log")
_START_SECONDS = 60


def connect(*, start: bool = True) -> docker.DockerClient:
    """Return a client of the engine at `DOCKER_HOST`, or of the local one.

    Args:
        start: install and start an engine where there is none and this user may.

    Raises:
        EngineError: none answers and none can be started; says what to install.
    """
    try:
        return _client()
    except DockerException as error:
        if not start:
            raise EngineError(f"No container engine answers: {error}", remedy=_remedy()) from error
        _start_one(error)
    return _client()


def _client() -> docker.DockerClient:
    client = docker.from_env(timeout=600)
    client.ping()
    return client


def _start_one(error: DockerException) -> None:
    if host := os.environ.get("DOCKER_HOST"):
        raise EngineError(
            f"The engine at DOCKER_HOST={host} does not answer: {error}",
            cause="it is not running, or its address is wrong",
            remedy="start it, or unset DOCKER_HOST to use the local engine",
        )
    if os.geteuid() != 0:
        raise EngineError("No container engine answers.", cause=str(error), remedy=_remedy())
    if shutil.which("dockerd") is None:
        _install()
    _start()


def _remedy() -> str:
    if SOCKET.exists() and not os.access(SOCKET, os.W_OK):
        return "add yourself to the group `docker` and log in again"
    return "install Docker Engine (Debian, Ubuntu: `apt-get install docker.io`) and start it"


def _install() -> None:
    if shutil.which("apt-get") is None:
        raise EngineError("No container engine is installed.", remedy=_remedy())
    print("no container engine here: installing docker.io with apt-get", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "docker.io", "iptables"],
    )
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
            raise EngineError(f"`{' '.join(command)}` failed:\n{tail}", remedy=_remedy())


def _start() -> None:
    _drop_stale_pid_file()
    print(f"no container engine is running: starting dockerd (log: {LOG})", flush=True)
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker"], check=False)
    if not _answers(within=5):
        # A session of its own: the engine outlives this command, as a service would.
        log = LOG.open("ab")
        subprocess.Popen(["dockerd"], stdout=log, stderr=log, start_new_session=True)
    if not _answers(within=_START_SECONDS):
        tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-5:]) if LOG.exists() else ""
        raise EngineError(f"dockerd did not start:\n{tail}", remedy=f"see {LOG}")


def _drop_stale_pid_file() -> None:
    """Remove the pid file that a killed daemon left; dockerd refuses to start over it."""
    try:
        pid = int(PID_FILE.read_text())
    except (OSError, ValueError):
        return
    if not _is_dockerd(pid):
        PID_FILE.unlink(missing_ok=True)


def _is_dockerd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd"
    except OSError:
        return False


def _answers(within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            _client()
        except DockerException:
            time.sleep(0.5)
        else:
            return True
    return False
