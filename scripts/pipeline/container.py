"""One program in one container of the build image, with nothing it does not need.

Read-only root, no network, no capabilities, the caller's uid, our seccomp profile, a memory limit.
Its output is shown as it comes; its exit code is an integer; it never outlives this process.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import tarfile
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound
from docker.types import Mount as DockerMount

import docker
from scripts.source import ROOT

LABEL = "dinov3-qnn.owner"
SECCOMP = ROOT / "docker" / "seccomp.json"
# /opt/openqnn and the official SDK are found by fixed paths; the rest keeps runs alike.
ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108, the container's own tmpfs
    "LC_ALL": "C.UTF-8",
    "PYTHONPATH": "/src:/opt/openqnn/lib/python",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "SOURCE_DATE_EPOCH": "1704067200",
    "TQDM_MININTERVAL": "0.5",
}
_KEPT_LINES = 15


@dataclass(frozen=True)
class Mount:
    """A host path as the container sees it; read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Program:
    """What to run, and what it may see."""

    command: Sequence[str]
    mounts: Sequence[Mount] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    memory_bytes: int = 0
    hostname: str = "dinov3-qnn"


@dataclass(frozen=True)
class Outcome:
    """How a program ended, and the last lines it printed."""

    exit_code: int
    out_of_memory: bool
    tail: str


def run(client: docker.DockerClient, image: str, program: Program) -> Outcome:
    """Run a program to its end, showing its output.

    On Ctrl-C or SIGTERM the container is killed and removed before the exception goes on.
    """
    sweep(client)
    with _created(client, image, program) as container:
        tail = _stream(client, container, program)
        state = client.api.inspect_container(container)["State"]
        code = int(state["ExitCode"])
        if not _is_local(client):
            _download(client, container, program.mounts)
        return Outcome(code, bool(state["OOMKilled"]) or code == 137, tail)


def sweep(client: docker.DockerClient) -> None:
    """Remove containers of runs on this machine that were killed before they could clean up."""
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        host, _, pid = container.labels[LABEL].partition(":")
        if host == socket.gethostname() and not Path(f"/proc/{pid}").exists():
            _remove(client, str(container.id))


@contextmanager
def _created(client: docker.DockerClient, image: str, program: Program) -> Iterator[str]:
    with _termination_as_interrupt():
        options = _options(client, program)
        container = client.api.create_container(
            image, list(program.command), **options["container"], host_config=options["host"]
        )["Id"]
        try:
            if not _is_local(client):
                _upload(client, container, program.mounts)
            yield container
        finally:
            _remove(client, container)


def _options(client: docker.DockerClient, program: Program) -> dict[str, Any]:
    info = client.info()
    environment = {**ENVIRONMENT, **program.environment}
    memory = program.memory_bytes or int(info["MemTotal"] * 0.95)
    host = client.api.create_host_config(
        mounts=[_docker_mount(client, mount) for mount in program.mounts],
        network_mode="bridge" if program.network else "none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges", f"seccomp={SECCOMP.read_text()}"],
        tmpfs={"/tmp": "rw,exec,nosuid,nodev,mode=1777"},  # noqa: S108
        mem_limit=memory,
        memswap_limit=memory,
        init=True,
    )
    container = {
        "environment": environment,
        "user": _user(info),
        "working_dir": "/src",
        "hostname": program.hostname,
        "labels": {LABEL: f"{socket.gethostname()}:{os.getpid()}"},
        "tty": sys.stdout.isatty(),
    }
    return {"container": container, "host": host}


def _user(info: Mapping[str, Any]) -> str:
    # A rootless engine maps its container's root to the caller, and every other uid to a stranger.
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or [])
    return "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"


def _docker_mount(client: docker.DockerClient, mount: Mount) -> DockerMount:
    if _is_local(client):
        return DockerMount(
            mount.target, str(mount.source.resolve()), type="bind", read_only=not mount.writable
        )
    return DockerMount(mount.target, None, type="volume")


def _is_local(client: docker.DockerClient) -> bool:
    """Tell whether the engine sees this machine's files; elsewhere they are copied both ways."""
    chosen = os.environ.get("DINOV3_QNN_MOUNTS")
    if chosen:
        return chosen == "bind"
    return str(client.api.base_url).startswith(("http+docker://", "http+unix://", "npipe://"))


def _stream(client: docker.DockerClient, container: str, program: Program) -> str:
    tail: deque[bytes] = deque(maxlen=_KEPT_LINES)
    output = client.api.attach(container, stdout=True, stderr=True, stream=True, logs=True)
    client.api.start(container)
    for chunk in output:
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        tail.extend(chunk.splitlines())
    client.api.wait(container, timeout=None)
    return b"\n".join(tail).decode(errors="replace")


def _remove(client: docker.DockerClient, container: str) -> None:
    try:
        client.api.remove_container(container, force=True, v=True)
    except NotFound:
        pass
    except APIError as error:
        # 409: another process is already removing it.
        if error.status_code != 409:
            raise


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM unwind like Ctrl-C, so that the container is removed on either.

    SIGINT is set too: a shell starts background jobs with it ignored.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {one: signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _upload(client: docker.DockerClient, container: str, mounts: Sequence[Mount]) -> None:
    for mount in mounts:
        with tempfile.TemporaryFile() as scratch:
            with tarfile.open(fileobj=scratch, mode="w") as archive:
                archive.add(mount.source.resolve(), arcname=".", filter=_owned)
            scratch.seek(0)
            client.api.put_archive(container, mount.target, scratch)


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if member.name.startswith(("./.git", "./build", "./.venv", "./.cache")):
        return None
    member.uid, member.gid = os.getuid(), os.getgid()
    return member


def _download(client: docker.DockerClient, container: str, mounts: Sequence[Mount]) -> None:
    for mount in mounts:
        if not mount.writable:
            continue
        chunks, _ = client.api.get_archive(container, f"{mount.target}/.")
        with tempfile.TemporaryFile() as scratch:
            for chunk in chunks:
                scratch.write(chunk)
            scratch.seek(0, io.SEEK_SET)
            with tarfile.open(fileobj=scratch) as archive:
                archive.extractall(mount.source, filter="data")
