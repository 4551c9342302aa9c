"""The container engine: find the running one, or on Debian as root install and start one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from docker.utils import parse_host

import docker
from scripts import apt
from scripts.errors import DiskFullError, EngineError, PipelineError, reason
from scripts.pipeline import tunnel

SOCKET = Path("/var/run/docker.sock")
PID_FILE = Path("/var/run/docker.pid")
LOG = Path("/var/log/dinov3-qnn-dockerd.log")
# How a user says whether the engine sees this machine's files, where its address misleads.
MOUNTS_VARIABLE = "DINOV3_QNN_MOUNTS"
_START_SECONDS = 60
_SCHEMES = ("unix", "tcp", "http", "https", "ssh")
# The first boot of a machine in a cloud updates itself, and holds apt's lock for minutes.
# What a program that we start for the machine gets of our environment: nothing that is secret.
_PASSED = (
    *("PATH", "HOME", "LANG", "TMPDIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


@dataclass(frozen=True)
class Traits:
    """What an engine is, as far as a container has to fit it; `memory` is in bytes."""

    name: str
    memory: int
    podman: bool = False
    rootless: bool = False
    remaps_users: bool = False
    selinux: bool = False
    limits_memory: bool = True


def connect(*, start: bool = True) -> docker.DockerClient:
    """Return a client of the engine at `DOCKER_HOST`, or of the local one.

    Args:
        start: install and start an engine where there is none and this user may.

    Raises:
        EngineError: none answers and none can be started; says what to install. Or `DOCKER_HOST`
            is no address of one.
    """
    _check_address(_host())
    try:
        return _client()
    except DockerException as error:
        if _host() or not start or os.geteuid() != 0:
            raise _silence(error) from error
    if shutil.which("dockerd") is None:
        _install()
    _start()
    return _client()


def is_local() -> bool:
    """Tell whether the engine sees this machine's files; elsewhere they are copied both ways."""
    if mounts := os.environ.get(MOUNTS_VARIABLE):
        return mounts == "bind"
    return not _host() or _host().startswith("unix://")


def traits(client: docker.DockerClient) -> Traits:
    """Return what the engine says of itself.

    Raises:
        EngineError: it is of another architecture, or a Podman that cannot see our profile.
    """
    return read_traits(client.info(), client.version())


def read_traits(info: Mapping[str, Any], version: Mapping[str, Any]) -> Traits:
    """Return the traits in the engine's answers to `info` and `version`."""
    options = {
        option.partition(",")[0].removeprefix("name=")
        for option in info.get("SecurityOptions") or []
    }
    podman = any("Podman" in part.get("Name", "") for part in version.get("Components") or [])
    traits = Traits(
        name=f"{'Podman' if podman else 'Docker'} {version.get('Version', '')}",
        memory=int(info["MemTotal"]),
        podman=podman,
        # Docker's way to say so, and Podman's.
        rootless="rootless" in options or bool(info.get("Rootless")),
        remaps_users="userns" in options,
        selinux="selinux" in options,
        limits_memory=bool(info.get("MemoryLimit", True)),
    )
    _require_usable(traits, str(info.get("Architecture", "")))
    return traits


def describe(traits: Traits) -> str:
    """Return in one line what an engine is, and what a build does because of it."""
    ways = {
        "rootless: the container's root is you": traits.rootless,
        "users are remapped: not for our containers": traits.remaps_users,
        "SELinux: our containers run unlabelled": traits.selinux,
        "no memory limits": not traits.limits_memory,
        "elsewhere: files are copied there and back": not is_local(),
    }
    return "; ".join([traits.name, *(text for text, holds in ways.items() if holds)])


def _require_usable(traits: Traits, architecture: str) -> None:
    if architecture not in ("x86_64", "amd64"):
        raise EngineError(
            f"The engine runs on {architecture}; Qualcomm's compilers are for x86_64.",
            remedy="set DOCKER_HOST to the engine of an x86_64 machine, e.g. ssh://user@host",
        )
    if traits.podman and not is_local():
        raise EngineError(
            f"{traits.name} elsewhere does not take a seccomp profile from here.",
            cause="it wants a file on its own machine, where Docker wants the text",
            remedy="use Docker there, or run this on that machine",
        )


def _host() -> str:
    return os.environ.get("DOCKER_HOST", "")


def _client() -> docker.DockerClient:
    client = _dialled()
    client.ping()
    return client


def _dialled() -> docker.DockerClient:
    if _host().startswith("ssh://"):
        return docker.DockerClient(f"unix://{tunnel.socket(_host())}", timeout=600)
    return docker.from_env(timeout=600)


def _check_address(host: str) -> None:
    """Refuse a `DOCKER_HOST` that the client would stumble over."""
    scheme = host.partition("://")[0] if "://" in host else "tcp"
    try:
        if host and scheme not in _SCHEMES:
            raise ValueError
        parse_host(host)
    except (DockerException, ValueError):
        raise EngineError(
            f"DOCKER_HOST={host} is no address of a container engine.",
            cause="a slip in it, or a way that is of Windows or of the engine alone",
            remedy="unix:///var/run/docker.sock, tcp://HOST:2375 or ssh://USER@HOST; without it, "
            "the local engine is used",
        ) from None


def _silence(error: DockerException) -> EngineError:
    """Return the error of an engine that does not answer, with its address."""
    if host := _host():
        return EngineError(
            f"The engine at DOCKER_HOST={host} does not answer: {reason(error)}.",
            cause="it is not running, or its address is wrong",
            remedy="start it, or unset DOCKER_HOST to use the local engine",
        )
    return EngineError(
        f"No container engine answers at {SOCKET}: {reason(error)}.",
        cause="none is installed or started, or your user may not use it",
        remedy=_remedy(),
    )


def _remedy() -> str:
    if SOCKET.exists() and not os.access(SOCKET, os.W_OK):
        return "add yourself to the group `docker` and log in again"
    return "install Docker Engine (Debian, Ubuntu: `apt-get install docker.io`) and start it"


def _install() -> None:
    if shutil.which("apt-get") is None:
        raise EngineError("No container engine is installed.", remedy=_remedy())
    print("no container engine here: installing docker.io with apt-get", flush=True)
    print("(where another run of apt holds its lock, this waits for it: up to 10 minutes)")
    environment = {**_environment(), "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        [*apt.COMMAND, "update"],
        [*apt.COMMAND, "install", "-y", "--no-install-recommends", "docker.io", "iptables"],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _not_installed(command, done.stdout + done.stderr)


def _not_installed(command: list[str], output: str) -> PipelineError:
    tail = "\n".join(output.splitlines()[-10:])
    if "No space left on device" in output:
        return DiskFullError(f"`{' '.join(command)}` filled the disk:\n{tail}")
    return EngineError(f"`{' '.join(command)}` failed:\n{tail}", remedy=_remedy())


def _environment() -> dict[str, str]:
    """Return our environment without what may be secret, for programs that outlive us."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def _start() -> None:
    _drop_stale_pid_file()
    print(f"no container engine is running: starting dockerd (log: {LOG})", flush=True)
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker"], env=_environment(), check=False)
    if not _answers(within=5):
        # A session of its own: the engine outlives this command, as a service would.
        with LOG.open("ab") as log:
            subprocess.Popen(
                ["dockerd"], env=_environment(), stdout=log, stderr=log, start_new_session=True
            )
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
