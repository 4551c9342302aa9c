"""Our containers on Podman, as root and without: a service of its own, with its own storage."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from docker.errors import DockerException

import docker
from scripts import errors
from scripts.pipeline import container, engine
from scripts.pipeline.container import Mount, Outcome, Program
from tests import namespaces

pytestmark = pytest.mark.image
NOBODY = 65534
# Podman's own defaults ask for more files than a machine inside a machine may have, and crun for
# cgroups of one version; Docker's runtime is there in any case.
SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
"""


@pytest.fixture(params=["root", "rootless"])
def podman(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, archive: bytes
) -> Iterator[Callable[..., Outcome]]:
    """Run programs on a Podman as this user, or as nobody; yields `run(program)`."""
    if not shutil.which("podman"):
        pytest.skip("podman is not installed")
    if os.getuid():
        pytest.skip("only root may make a home for another user's Podman")
    namespaces.require("--mount")
    if request.param == "rootless":
        namespaces.require("--mount", "--user", "--map-root-user", user=NOBODY)
    with ExitStack() as stack:
        home = stack.enter_context(_home(NOBODY if request.param == "rootless" else 0))
        socket = stack.enter_context(_service(home, rootless=request.param == "rootless"))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
        monkeypatch.delenv(engine.MOUNTS_VARIABLE, raising=False)
        if request.param == "rootless":
            monkeypatch.setattr("os.getuid", lambda: NOBODY)
        client = engine.connect(start=False)
        image = client.api.import_image_from_data(archive).rpartition('"sha256:')[2][:64]
        yield lambda program: container.run(client, image, program)
        client.close()


@contextmanager
def _home(user: int) -> Iterator[Path]:
    """A short path: that of a socket may have 108 characters."""
    home = Path(f"/tmp/podman-{os.getpid()}-{user}")
    home.mkdir(mode=0o755)
    for name in ("run", "in", "out"):
        (home / name).mkdir(mode=0o700)
        os.chown(home / name, user, user)
    os.chown(home, user, user)
    try:
        yield home
    finally:
        shutil.rmtree(home)


@contextmanager
def _service(home: Path, *, rootless: bool) -> Iterator[Path]:
    socket = home / "run" / "podman.sock"
    (home / "containers.conf").write_text(SETTINGS)
    (home / "subid").write_text("nobody:100000:65536\n")
    places = f"--root {home}/root --runroot {home}/run/root --storage-driver vfs"
    serve = f"podman {places} system service --time=0 unix://{socket}"
    # In a namespace of mounts: the machine's own list of users' ids stays as it is.
    become = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups" if rootless else ""
    ids = f"mount --bind {home}/subid /etc/subuid && mount --bind {home}/subid /etc/subgid"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "CONTAINERS_CONF": str(home / "containers.conf"),
    }
    command = ["unshare", "--mount", "sh", "-c", f"{ids} && exec {become} {serve}"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_for(socket, process, home / "log")
        yield socket
    finally:
        # Without root it runs itself once more, in a namespace of users.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        # The one that holds a rootless Podman's namespace is meant to outlive it.
        for file in (home / "run").rglob("pause.pid"):
            os.kill(int(file.read_text()), signal.SIGKILL)


def _wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            docker.DockerClient(f"unix://{socket}").ping()
        except DockerException:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"podman does not run: {log.read_text()[-500:]}")


LOOK = "id -u; cat /in/a; cat /in/a >/out/b; touch /x; grep -E '^(Sec|Cap|NoNew)' /proc/self/status"


def test_a_program_sees_its_folders_and_nothing_else(podman: Callable[..., Outcome]) -> None:
    home = Path(os.environ["DOCKER_HOST"].removeprefix("unix://")).parents[1]
    (home / "in" / "a").write_text("carried\n")
    os.chown(home / "in" / "a", os.getuid(), os.getuid())
    mounts = [Mount(home / "in", "/in"), Mount(home / "out", "/out", writable=True)]
    outcome = podman(Program(["sh", "-c", f"{LOOK}; exit 3"], mounts))
    assert outcome.exit_code == 3, outcome.tail
    assert outcome.tail.splitlines()[:2] == ["0", "carried"]
    assert "Read-only file system" in outcome.tail
    for line in ("CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in outcome.tail
    assert (home / "out" / "b").read_text() == "carried\n"
    assert (home / "out" / "b").stat().st_uid == os.getuid()


def test_private_files_reach_a_program_there_too(podman: Callable[..., Outcome]) -> None:
    private = {"token": b"hf_secret\n", "environment": b"export A=b\n"}
    outcome = podman(Program(["sh", "-c", "cat /run/private/token; echo $A"], private=private))
    assert outcome.tail.split() == ["hf_secret", "b"]


def test_an_image_that_is_not_there_is_refused_in_words(podman: Callable[..., Outcome]) -> None:
    client = engine.connect(start=False)
    with pytest.raises(DockerException) as caught:
        container.run(client, "dinov3-qnn:none", Program(["true"]))
    assert isinstance(errors.named(caught.value), errors.EngineError)
