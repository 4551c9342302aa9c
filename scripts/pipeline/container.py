"""One program in one container of the build image, with nothing it does not need.

Read-only root, no network, no capabilities, the caller's uid, our seccomp profile, a memory limit.
Its output is shown as it comes; its exit code is an integer; it never outlives this process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from docker.errors import APIError, NotFound
from docker.types import Mount as DockerMount

import docker
from scripts import digests
from scripts.pipeline import copies, engine, interruption, owner
from scripts.pipeline.mount import Mount
from scripts.source import ROOT
from scripts.turns import show

__all__ = ["Leash", "Mount", "Outcome", "Program", "Screen", "digest", "run", "sweep"]

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
TMPFS = {"/tmp": "rw,exec,nosuid,nodev,mode=1777"}  # noqa: S108
# Where a program finds its private files: in memory, gone with the container.
PRIVATE = "/run/private"
# They come through standard input, so that no configuration of a container holds them.
_RECEIVE = f"umask 077; tar -xC {PRIVATE} && . {PRIVATE}/environment && exec </dev/null && "
# Engines read a container's two streams side by side: what was written last may be shown first.
_ONE_STREAM = 'exec "$@" 2>&1'
_KEPT_LINES, _KEPT_BYTES = 15, 8000


@dataclass(frozen=True)
class Program:
    """What to run, and what it may see.

    `private` are files by name for `PRIVATE`; its `environment`, in the shell's words, is set.
    """

    command: Sequence[str]
    mounts: Sequence[Mount] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: str = "none"
    memory_bytes: int = 0
    hostname: str = "dinov3-qnn"
    cpus: str = ""
    private: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Outcome:
    """How a program ended, and the last lines it printed."""

    exit_code: int
    out_of_memory: bool
    tail: str


class Screen(Protocol):
    """Where the output of a program goes."""

    def write(self, output: bytes) -> None:
        """Show a piece of it, whole lines or not."""

    def isatty(self) -> bool:
        """Tell whether it is a terminal that the program may draw on."""


class _StandardOutput:
    def write(self, output: bytes) -> None:
        show(output)

    def isatty(self) -> bool:
        return sys.stdout.isatty()


class Leash:
    """What ends programs from another thread than those that wait for them."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client, self._lock = client, threading.Lock()
        self._containers: set[str] = set()
        self._is_pulled = False

    @contextmanager
    def of(self, container: str) -> Iterator[None]:
        """Let a container be ended for the time of the block.

        Raises:
            KeyboardInterrupt: all programs were ended before it could start.
        """
        with self._lock:
            if self._is_pulled:
                raise KeyboardInterrupt
            self._containers.add(container)
        try:
            yield
        finally:
            with self._lock:
                self._containers.discard(container)

    def pull(self) -> None:
        """Remove all containers, and let no other one start."""
        with self._lock:
            self._is_pulled, containers = True, set(self._containers)
        for container in containers:
            _remove(self._client, container)


def digest() -> str:
    """Return the SHA-256 of what is the same for every program and can change its result."""
    surroundings = [ENVIRONMENT, TMPFS, digests.of_file(SECCOMP)]
    return digests.of_bytes(json.dumps(surroundings, sort_keys=True).encode())


def run(
    client: docker.DockerClient,
    image: str,
    program: Program,
    screen: Screen | None = None,
    leash: Leash | None = None,
) -> Outcome:
    """Run a program to its end, showing its output on standard output or on another screen.

    On Ctrl-C or SIGTERM the container is killed and removed before the exception goes on; where
    this is not the main thread, which hears of them, when the leash is pulled.
    """
    sweep(client)
    screen, leash = screen or _StandardOutput(), leash or Leash(client)
    with _created(client, image, program, screen) as container, leash.of(container):
        tail = _stream(client, container, program, screen)
        state = client.api.inspect_container(container)["State"]
        code = int(state["ExitCode"])
        if not engine.is_local():
            copies.receive(client, container, program.mounts)
        return Outcome(code, bool(state.get("OOMKilled")) or code == 137, tail)


def sweep(client: docker.DockerClient) -> None:
    """Remove the containers of processes that were killed before they could clean up."""
    containers = client.api.containers(all=True, filters={"label": owner.LABEL})
    labels = {
        str(container["Id"]): str(container["Labels"][owner.LABEL]) for container in containers
    }
    gone = {label for label in labels.values() if owner.is_gone(label)}
    for container, label in labels.items():
        if label in gone:
            _remove(client, container)
    for label in gone:
        owner.forget(label)


@contextmanager
def _created(
    client: docker.DockerClient, image: str, program: Program, screen: Screen
) -> Iterator[str]:
    with interruption.as_ctrl_c():
        traits = engine.traits(client)
        container = client.api.create_container(
            image,
            **container_options(program, traits, tty=screen.isatty()),
            host_config=client.api.create_host_config(**host_options(program, traits)),
        )["Id"]
        try:
            if not engine.is_local():
                copies.send(client, container, program.mounts, _user(traits))
            yield container
        finally:
            _remove(client, container)


def container_options(
    program: Program, traits: engine.Traits, *, tty: bool = False
) -> dict[str, Any]:
    """Return what a container is to be, as `create_container` takes it; `tty` is a terminal."""
    receive = _RECEIVE if program.private else ""
    uid, gid = _user(traits)
    return {
        "command": ["sh", "-c", f"{receive}{_ONE_STREAM}", "sh", *program.command],
        "environment": {**ENVIRONMENT, **program.environment},
        "user": f"{uid}:{gid}",
        "working_dir": "/src",
        "hostname": program.hostname,
        "labels": {owner.LABEL: owner.label()},
        "stdin_open": bool(program.private),
        # A terminal would change the bytes of private files.
        "tty": tty and not program.private,
        # Else the client adds the proxies of ~/.docker/config.json, with their passwords.
        "use_config_proxy": False,
    }


def host_options(program: Program, traits: engine.Traits) -> dict[str, Any]:
    """Return what a container may see and use, as `create_host_config` takes it."""
    memory = program.memory_bytes or int(traits.memory * 0.95)
    return {
        "mounts": _mounts(program),
        "network_mode": program.network,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": _security(traits),
        "tmpfs": {
            **TMPFS,
            **({PRIVATE: "rw,noexec,nosuid,nodev,mode=1777"} if program.private else {}),
        },
        # Other users' ids in the container would be strangers to the caller's files.
        **({"userns_mode": "host"} if traits.remaps_users else {}),
        **({"mem_limit": memory, "memswap_limit": memory} if traits.limits_memory else {}),
        # Debian's Podman comes without a program for it.
        "init": not traits.podman,
        **({"cpuset_cpus": program.cpus} if program.cpus else {}),
    }


def _security(traits: engine.Traits) -> list[str]:
    # Docker takes the profile's text, Podman the path of a file that it can see.
    profile = str(SECCOMP) if traits.podman else SECCOMP.read_text()
    # SELinux would keep the container from the caller's files; to relabel them is not for us.
    label = ["label=disable"] if traits.selinux else []
    return ["no-new-privileges", f"seccomp={profile}", *label]


def _user(traits: engine.Traits) -> tuple[int, int]:
    # A rootless engine maps its container's root to the caller, and every other uid to a stranger.
    return (0, 0) if traits.rootless else (os.getuid(), os.getgid())


def _mounts(program: Program) -> list[DockerMount]:
    if not engine.is_local():
        places = dict.fromkeys(copies.place(mount) for mount in program.mounts)
        return [DockerMount(place, None, type="volume") for place in places]
    return [
        DockerMount(
            mount.target, str(mount.source.resolve()), type="bind", read_only=not mount.writable
        )
        for mount in program.mounts
    ]


def _stream(client: docker.DockerClient, container: str, program: Program, screen: Screen) -> str:
    tail = b""
    output = client.api.attach(container, stdout=True, stderr=True, stream=True, logs=True)
    with _hand_over(client, container, program.private):
        client.api.start(container)
    for chunk in output:
        screen.write(chunk)
        tail = (tail + chunk)[-_KEPT_BYTES:]
    client.api.wait(container, timeout=None)
    return b"\n".join(tail.splitlines()[-_KEPT_LINES:]).decode(errors="replace")


@contextmanager
def _hand_over(
    client: docker.DockerClient, container: str, private: Mapping[str, bytes]
) -> Iterator[None]:
    """Send private files to a container's standard input once it is started."""
    if not private:
        yield
        return
    stream = client.api.attach_socket(container, params={"stdin": 1, "stream": 1})
    yield
    # A container that ended already says why by its exit code.
    with suppress(OSError):
        getattr(stream, "_sock", stream).sendall(copies.packed(private))
    stream.close()


def _remove(client: docker.DockerClient, container: str) -> None:
    try:
        client.api.remove_container(container, force=True, v=True)
    except NotFound:
        pass
    except APIError as error:
        # 409: another process is already removing it.
        if error.status_code != 409:
            raise
