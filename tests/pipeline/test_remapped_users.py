"""Our containers on a Docker that remaps users: one of its own, with its own storage."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker.errors import DockerException

import docker
from scripts.pipeline import container, engine
from scripts.pipeline.container import Mount, Program
from tests import namespaces

pytestmark = pytest.mark.image
# In namespaces of mounts and network: the list of users of the machine stays as it is, and so does
# the bridge of its own engine, which an engine without a bridge removes.
SERVE = """
printf 'nobody:100000:65536\nnogroup:100000:65536\n' >ids
mount --bind ids /etc/subuid && mount --bind ids /etc/subgid && exec dockerd \
    --userns-remap nobody:nogroup --data-root $PWD/data --exec-root $PWD/exec --pidfile $PWD/pid \
    --host unix://$PWD/socket --bridge none --iptables=false --ip6tables=false
"""
LOOK = "id -u; cat /in/a; cat /in/a >/out/b; touch /x; cat /proc/self/uid_map"


@pytest.fixture
def remapping(monkeypatch: pytest.MonkeyPatch) -> Iterator[docker.DockerClient]:
    if os.getuid() or not shutil.which("dockerd"):
        pytest.skip("only root may start an engine, and where there is one")
    namespaces.require("--mount", "--net")
    home = Path(f"/tmp/remapping-{os.getpid()}")  # short: it is the path of a socket
    home.mkdir(mode=0o711)
    try:
        with _service(home) as socket:
            monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
            monkeypatch.delenv(engine.MOUNTS_VARIABLE, raising=False)
            yield engine.connect(start=False)
    finally:
        shutil.rmtree(home)


@contextmanager
def _service(home: Path) -> Iterator[Path]:
    command = ["unshare", "--mount", "--net", "sh", "-c", SERVE]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=home, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not _answers(home / "socket"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"dockerd does not run: {(home / 'log').read_text()[-500:]}")
            time.sleep(0.2)
        yield home / "socket"
    finally:
        process.terminate()
        process.wait()


def _answers(socket: Path) -> bool:
    try:
        return bool(docker.DockerClient(f"unix://{socket}").ping())
    except DockerException:
        return False


def test_a_program_is_the_caller_and_sees_what_is_the_callers_alone(
    remapping: docker.DockerClient, archive: bytes, tmp_path: Path
) -> None:
    traits = engine.traits(remapping)
    assert traits.remaps_users
    assert "users are remapped: not for our containers" in engine.describe(traits)
    image = remapping.api.import_image_from_data(archive).rpartition('"sha256:')[2][:64]
    for name in ("in", "out"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "in" / "a").write_text("carried\n")
    mounts = [Mount(tmp_path / "in", "/in"), Mount(tmp_path / "out", "/out", writable=True)]
    outcome = container.run(remapping, image, Program(["sh", "-c", f"{LOOK}; exit 3"], mounts))
    assert outcome.exit_code == 3, outcome.tail
    identity, text, *rest = outcome.tail.splitlines()
    assert (identity, text) == (str(os.getuid()), "carried")
    assert rest[-1].split()[:2] == ["0", "0"], "its root is the machine's"
    assert (tmp_path / "out" / "b").stat().st_uid == os.getuid()
